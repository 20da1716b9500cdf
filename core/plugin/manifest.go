package plugin

import "github.com/easynet-cn/batata/core/kv"

// Main is the name of the shared listener that every server has: HTTP and gRPC
// on one port. Mounts and gRPC services of all plugins may share it.
const Main = "main"

// Manifest says what a plugin is and needs. The host reads it before anything
// starts and refuses to start with every conflict listed (ARC-P01). Addresses
// and prefixes are defaults that configuration may override (ARC-P12).
type Manifest struct {
	Name      string // lower_snake_case: config section, table scope, metric prefix
	Version   string
	Listeners []Listener     // exclusive ones
	Mounts    []Mount        // parts of a shared or exclusive HTTP listener
	Tables    []kv.TableSpec // private replicated tables
	Resources []string       // kinds of resource this personality asks core about
	Offers    map[string]int // extension point → version of its data
	Extends   []Extension
	// Config returns a fresh struct that holds the defaults; nil: no section.
	Config func() Config
}

// Listener is a socket of the plugin's own.
type Listener struct {
	Name    string // unique in the plugin
	Network string // "tcp" or "udp"
	Address string // default, "host:port"; an empty host follows server.bind
	// MainOffset, when not 0, derives the default port from the main port; the
	// port of Address is then ignored.
	MainOffset int
}

// Mount is a set of path prefixes on an HTTP listener. Prefixes match by path
// segment, the longest wins; the same prefix twice is a start-up error. The
// prefix is not stripped from the request (ARC-P03, ARC-P12).
type Mount struct {
	Name     string // unique in the plugin
	Listener string // Main, or an own listener
	Prefixes []string
}

// Extension is one contribution to a point that another personality offers.
type Extension struct {
	Point   string
	Version int
	Keys    []string // the calls it takes; a key of a point has one contributor
}
