// Package cluster tests three members as processes of their own: killed, stopped,
// paused and given empty disks while clients write through all of them.
//
// What is acknowledged is counted, and must be there on every member afterwards.
// Linearizability under partitions is tested in core, where links can be cut.
package cluster
