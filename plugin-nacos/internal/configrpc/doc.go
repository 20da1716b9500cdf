// Package configrpc serves configs over the gRPC transport (NAC-CFG-20..63):
// query, publish, remove, batch listen, and the notices of changes.
//
// Invariants: a listener is noted before its digest is compared, so that no
// change falls between; the tenant comes back as the client spelled it
// (NAC-CFG-02); a notice is sent for a change of what clients read, never for
// one of metadata alone (NAC-CFG-63).
//
// The package owns no goroutine. Start reading at API.
package configrpc
