// Package plugin is the contract between a server and its personalities: a
// personality is a plugin that speaks one foreign protocol over core.
//
// Life of a plugin: the host reads the Manifest, checks all manifests against
// each other, decodes and validates the configuration, calls New (no goroutine,
// no I/O), then Start (returns quickly), asks Ready until it is, and only then
// opens the listeners. On the way down it drains, closes the listeners and
// calls Shutdown, which is idempotent and legal without Start; nothing of the
// plugin runs after Shutdown has returned. The suite that every plugin passes
// is plugin/plugintest.
//
// Everything a plugin calls on its host carries data only: no callback, no
// channel, no pointer into live state (ARC-P04), so that the same plugin can
// run in a process of its own. Handlers are handed over inside New only.
package plugin

import "context"

// Plugin is one personality. It must be cheap to create and free of side
// effects.
type Plugin interface {
	// Manifest is data: identical on every call, no I/O.
	Manifest() Manifest
	// New builds an instance. It registers handlers on the host, and starts
	// nothing.
	New(ctx context.Context, h Host) (Instance, error)
}

// Instance is built, started once, shut down once.
type Instance interface {
	// Start returns quickly; ctx is for starting only.
	Start(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// Readier is optional on an Instance; its absence means ready after Start.
// The error says in a few words what is missing.
type Readier interface {
	Ready(ctx context.Context) error
}

// Drainer is optional on an Instance: Drain is called when the server is about
// to stop accepting, so that parked requests can be answered in the protocol's
// own "nothing changed" way. It returns when they are, or when ctx ends.
type Drainer interface {
	Drain(ctx context.Context) error
}

// Config is a plugin's configuration: a pointer to a struct whose fields carry
// `koanf` tags in snake_case. Validate reports every problem at once.
type Config interface{ Validate() error }

// Opener is optional on a Config. It tells the host whether, configured like
// this, the client plane of the plugin accepts callers without credentials, and
// which configuration key closes it. While a plane is open its listeners bind
// to loopback only, unless the operator allowed otherwise (PRD-05).
type Opener interface {
	Open() (open bool, key string)
}
