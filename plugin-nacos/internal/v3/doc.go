// Package v3 serves the V3 API: configs for clients without gRPC (NAC-H3-01) and
// the state of the server (NAC-H3-08).
//
// The package owns no goroutine. Start reading at Routes.
package v3
