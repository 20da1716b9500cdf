// Package server is the whole server: one node of core, the plugins it is given,
// and the ports they share. A distribution is a main function:
//
//	func main() { server.Main(server.With(nacos.Plugin())) }
//
// Run is the same inside a program of one's own, and Start returns a server
// that can be asked where it listens. Two servers in one process work.
//
// A Server owns the node and the host of the plugins, from Start to Close.
package server
