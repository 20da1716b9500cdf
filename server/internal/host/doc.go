// Package host runs the plugins of one server in its process: it checks their
// manifests against each other, decodes their configuration, binds their
// listeners, routes shared requests to them, and takes them through their life.
//
// Starting goes in one order and stopping in the reverse: every listener is
// bound before anything accepts, so that a taken port fails the start; nothing
// accepts before every plugin is ready. Each step of a stop is logged with the
// time it took.
//
// A Host owns the goroutines of its servers, from Accept to Stop. Start reading
// at Host.
package host
