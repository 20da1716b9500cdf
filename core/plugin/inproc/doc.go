// Package inproc is the inside of a host for plugins in its own process: what a
// plugin registers, its supervised workers, and the extension points between
// plugins. A server adds listeners and routing to it, the test suite of plugins
// adds neither.
//
// A Host owns the goroutines of its plugin's workers, from StartWorkers to
// StopWorkers. Start reading at Host.
package inproc
