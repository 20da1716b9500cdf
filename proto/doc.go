// Package proto is the root of the protocol definitions of Batata: the .proto
// files beside the Go code that is generated from them. It holds no logic and
// depends on grpc and protobuf alone.
package proto
