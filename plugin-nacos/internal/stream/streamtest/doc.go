// Package streamtest speaks the gRPC protocol of Nacos as a client, for tests of
// what is served over package stream: transports with a stream and calls, and
// scenarios, which are files of what clients say and what must come of it.
//
// It owns, for each stream that a test opens, the goroutine that reads it, which
// ends with the transport at the end of the test. Start reading at Client, then
// Play.
package streamtest
