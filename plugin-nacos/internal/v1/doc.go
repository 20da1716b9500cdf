// Package v1 serves the V1 API of configs (NAC-H1C): read, publish, remove,
// search, grays by address, the long poll and who listens. Each handler reads
// its parameters, calls package config and renders the result.
//
// The package owns no goroutine. Start reading at Routes.
package v1
