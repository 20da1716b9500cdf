// Package plugintest is the suite that every plugin passes, and a small host to
// test a plugin on: a real node of core, real sockets on loopback, without the
// rest of a server.
//
// A plugin's own tests call Run once, and Start wherever they need the plugin at
// work. Run looks at all goroutines of the process, so it must not run beside
// parallel tests. What the package starts belongs to a Server and ends in its
// Close.
package plugintest
