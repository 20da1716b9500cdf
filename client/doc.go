// Package client will be the Go client of Batata: configuration, naming and
// locks over gRPC, light enough to live in any application. Work on it has not
// begun.
package client
