package nacossdk

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/easynet-cn/batata/e2e/node"
)

// sdk is a row of the table: how to run the driver of an SDK, and what the SDK
// does in its own way. The zero value of each quirk is what most do.
type sdk struct {
	name  string
	needs string // the file in the cache that says that make has put it there
	argv  func(dir string) []string
	env   func(t *testing.T) []string // nil: nothing beside the test's

	// deaf: the SDK takes errors 300 to 399 of its health check for health
	// (NAC-ERR-24), so after a short restart it notices only by the next call of
	// the application that its connection is gone.
	deaf bool
	// limited: what the SDK throws when it is asked more often than it likes
	// (NAC-TIM-14); others wait.
	limited string
	// closeFails: what closing a client throws.
	closeFails string

	// Configs.

	// quietListen: a listener is not told the content that is there already.
	quietListen bool
	// losesPush: the SDK acknowledges and forgets a push that comes while it
	// refreshes the same config, until the next push or a full sync every 5 min
	// (NAC-CFG-66): a late writer of its own marks the item as in sync.
	losesPush bool

	// Services.

	// quietSubscribe: a subscriber is not told the instances that are there
	// already.
	quietSubscribe bool
	// quietEmpty: a subscriber is not told that the last instance went
	// (NAC-NAM-42).
	quietEmpty bool
	// polls: changes of services reach the SDK only when it asks for them, every
	// 10 s (NAC-TIM-11) or as often as it was told.
	polls bool
	// slowRedo: after a reconnect the SDK redoes its registrations and
	// subscriptions with a scan every 30 s only (NAC-CON-38).
	slowRedo bool
}

// cache is a path in the folder where make puts the drivers.
func cache(name ...string) string {
	return filepath.Join(append([]string{node.Root(), ".cache", "sdk"}, name...)...)
}

// source is a path in the folder of the drivers.
func source(name ...string) string {
	return filepath.Join(append([]string{node.Root(), "e2e", "sdk"}, name...)...)
}

func java(version string) func(string) []string {
	return func(dir string) []string {
		return []string{
			"java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.home=" + dir,
			"-cp", cache("java", "classes") + ":" + cache("java", version) + "/*", "batata.sdk.Driver",
		}
	}
}

func python(version, script string) func(string) []string {
	return func(string) []string {
		return []string{cache("python-"+version, "bin", "python"), "-Bu", source("python", script)}
	}
}

func binary(name string) func(string) []string {
	return func(string) []string { return []string{cache(name)} }
}

// nodeEnv is the environment of Node.js. Processes on one machine share their
// config client through a port, whatever server they name; so each has its own.
func nodeEnv(t *testing.T) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	return []string{"NODE_PATH=" + cache("node", "node_modules"), "NODE_CLUSTER_CLIENT_PORT=" + port}
}

// sdks is the table. Versions are pinned by the files of the drivers.
var sdks = []sdk{
	{
		name: "go-2.3.2", needs: "go2", argv: binary("go2"),
		limited: "ConfigQueryRequest is limited", losesPush: true,
	},
	{
		name: "go-1.0.8", needs: "go1", argv: binary("go1"),
	},
	{
		name: "java-3.2.1", needs: "java-3.2.1-2026.03.30.ok", argv: java("3.2.1-2026.03.30"),
	},
	{
		name: "java-2.5.1", needs: "java-2.5.1.ok", argv: java("2.5.1"),
	},
	{
		name: "python-3.2.0", needs: "python-3.2.0.ok", argv: python("3.2.0", "grpc_driver.py"),
		losesPush: true, slowRedo: true,
	},
	{
		name: "python-2.0.11", needs: "python-2.0.11.ok", argv: python("2.0.11", "grpc_driver.py"),
		deaf: true, losesPush: true, slowRedo: true,
		// It awaits a function that is not asynchronous, having closed all else.
		closeFails: "TypeError: object NoneType can't be used in 'await' expression",
	},
	{
		// The same package has the older client too.
		name: "python-2.0.11-http", needs: "python-2.0.11.ok", argv: python("2.0.11", "http_driver.py"),
		quietListen: true, quietSubscribe: true, polls: true,
	},
	{
		name: "node-2.6.3", needs: "node.ok",
		argv:       func(string) []string { return []string{"node", source("node", "driver.js")} },
		env:        nodeEnv,
		quietEmpty: true,
	},
}
