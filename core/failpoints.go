//go:build gofail

package core

// What gofail writes into a copy of the sources imports its runtime; this keeps
// the module in go.mod. No build sets the tag.
import _ "go.etcd.io/gofail/runtime"
