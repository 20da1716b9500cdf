// Package nacosgo drives the built server with the Go SDK of Nacos, unmodified,
// and with a long-polling client beside it, as clients of the 1.x generation
// are.
package nacosgo
