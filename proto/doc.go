// Package proto holds the wire messages of the protocols that Batata speaks over
// gRPC, one package each. What is generated is committed; make proto writes it
// again.
package proto
