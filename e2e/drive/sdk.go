package drive

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/easynet-cn/batata/e2e/node"
)

// SDK says how to run the driver of an SDK.
type SDK struct {
	Name  string
	needs string // the file in the cache that says that make has put it there
	argv  func(dir string) []string
	env   func(t *testing.T) []string // nil: nothing beside the test's
}

// Java is nacos-client in a version that the Makefile pins.
func Java(name, version string) SDK {
	return SDK{Name: name, needs: "java-" + version + ".ok", argv: java(version)}
}

// Python is nacos-sdk-python in a version that the Makefile pins, driven by one
// of the scripts.
func Python(name, version, script string) SDK {
	return SDK{Name: name, needs: "python-" + version + ".ok", argv: python(version, script)}
}

// Go is nacos-sdk-go; the driver of each major version is a program.
func Go(name, program string) SDK {
	return SDK{Name: name, needs: program, argv: func(string) []string { return []string{cache(program)} }}
}

// Node is the nacos package of Node.js.
func Node(name string) SDK {
	return SDK{
		Name: name, needs: "node.ok", env: nodeEnv,
		argv: func(string) []string { return []string{"node", source("node", "driver.js")} },
	}
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
