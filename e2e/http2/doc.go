// Package http2 runs h2spec, which knows what HTTP/2 and its compression of headers
// ask of a server, against the gRPC port of the built one.
package http2
