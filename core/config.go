package core

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
)

// Durability says when a write is acknowledged.
type Durability string

const (
	// Fsync acknowledges what is on disk.
	Fsync Durability = "fsync"
	// OS acknowledges what the operating system has been given. A power failure
	// loses acknowledged writes: for comparison only.
	OS Durability = "os"
)

// Config is what Start needs; only DataDir is required.
type Config struct {
	DataDir    string
	Durability Durability // empty: Fsync
	// OnOpen, when not nil, is called once the data directory is this node's and
	// no other process's, before the node waits for others.
	OnOpen func()
	// Tables are the embedder's own, for Node.KV.
	Tables []kv.TableSpec
	// LogBytes is the size of the write-ahead log above which all of it goes that
	// state.db holds: members that lack it get a snapshot. 0: 256 MiB. A node
	// alone does so at half of it.
	LogBytes int64
	// Peer joins the node with others. While it is zero the node is alone and
	// opens no port.
	Peer     Peer
	Auth     Auth
	Configs  Configs
	Registry Registry
	Logger   *zap.Logger           // nil: none
	Metrics  prometheus.Registerer // nil: none
}

// Peer configures how a node and others become one cluster. A node without data
// joins the cluster that one of Members is in; when none of them is in one, and
// all of them are there and have the same list, the one with the smallest
// address forms it. Who is a member stays one, whatever the list says later,
// until it is removed.
type Peer struct {
	// Listen is the address of the port for other members; empty: alone.
	Listen string
	// Listener, when not nil, is used instead; the node closes it.
	Listener net.Listener
	// Advertise is how others reach that port, host:port. Empty: the entry of
	// Members that reaches this node, else the address listened at, and for one
	// that stands for every address the first that is not loopback.
	Advertise string
	// Members are the peer addresses of those to form a cluster with.
	Members []string
	// Secret proves membership, at least 32 bytes, the same on all.
	Secret []byte
	// TLS, when not nil, makes members verify each other's certificate as well:
	// it holds Certificates, RootCAs and ClientCAs.
	TLS *tls.Config
	// Dial opens connections to other members; nil: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Name, Addrs, Meta, Features and Version are told to the others, see
	// cluster.Member. Node.Announce changes Addrs and Meta later.
	Name     string
	Addrs    map[string]string
	Meta     map[string]string
	Features []string
	Version  string
	// Tick is the pause between heartbeats; an election takes ten to twenty of
	// them. 0: 100ms. All members have the same.
	Tick time.Duration
	// Ping is the pause between signs of life that states of members are made
	// from; 0: 1s.
	Ping time.Duration
	// ReplaceAfter is how long a member must have been silent before another
	// one, with its address and another disk, takes its place; 0: 60s.
	ReplaceAfter time.Duration
	// Forming, when not nil, shows and steers how the node finds its cluster
	// while Start waits.
	Forming *Forming
}

func (p *Peer) alone() bool { return p.Listen == "" && p.Listener == nil }

// Auth configures tokens and the first administrator.
type Auth struct {
	// Secret signs tokens, at least 32 bytes; nil: derived from Peer.Secret, or
	// made once and kept in the data directory of a node that is alone.
	Secret []byte
	TTL    time.Duration // life of a token; 0: 5 hours
	// SetupToken opens the door to the first administrator for callers
	// elsewhere; empty: only local ones may.
	SetupToken         string
	AllowWeakPasswords bool
	// PasswordCost is bcrypt's for new passwords, 4 to 31; 0: 10, as every server
	// has it. Less is for tests alone: a stolen store is then cheap to guess from.
	PasswordCost int
}

// Configs configures the config store.
type Configs struct {
	CacheBytes    int64         // content kept in memory; 0: 64 MiB
	RetentionAge  time.Duration // history older than this goes; 0: 30 days
	RetentionKeep int           // but never the newest so many of an item; 0: 10
}

// Registry configures the service registry.
type Registry struct {
	OverrideLinger time.Duration // how long an override outlives its instance; 0: a minute
	// StaleAfter is how long instances of clients that were connected to a member
	// that is out of sight are kept, where their service has others; 0: 30 seconds.
	// Those of a service that has no others are kept for three minutes at least.
	StaleAfter time.Duration
	// Warmup is how long after the start no instance ends for want of beats; 0: 5
	// seconds.
	Warmup time.Duration
}

func (c *Config) fill() {
	if c.Durability == "" {
		c.Durability = Fsync
	}
	if c.Auth.TTL == 0 {
		c.Auth.TTL = 5 * time.Hour
	}
	if c.Configs.CacheBytes == 0 {
		c.Configs.CacheBytes = 64 << 20
	}
	if c.Configs.RetentionAge == 0 {
		c.Configs.RetentionAge = 30 * 24 * time.Hour
	}
	if c.Configs.RetentionKeep == 0 {
		c.Configs.RetentionKeep = 10
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
}
