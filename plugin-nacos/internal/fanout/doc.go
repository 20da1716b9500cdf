// Package fanout knows who subscribes to which service, over one transport, and
// pushes what has changed (NAC-NAM-29, 30, 40..42). What a subscriber is and how a
// list is sent are the transport's.
//
// Invariants:
//
//   - a subscriber is pushed at least once after the last change, with the newest
//     list (NAC-SET-08); a list is made once for all who see it the same way;
//   - changes are merged by a window that adapts (ENG-11);
//   - while the server warms up no list is pushed that is smaller than one it has
//     shown (FLT-04);
//   - what subscribers may make it keep is bounded by its Settings.
//
// The package owns no goroutine: Pusher.Run is called by a worker of the host and
// makes the pushes that are due. Start reading at Pusher.
package fanout
