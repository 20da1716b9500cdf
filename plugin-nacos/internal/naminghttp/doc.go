// Package naminghttp serves naming over HTTP: V1 (NAC-H1N), V2 (NAC-H2-20..52)
// and the V3 client (NAC-H3-03..06). A handler reads its parameters, calls package
// naming and renders the result; what the generations do alike is one handler,
// which asks its generation how to read and how to answer.
//
// Invariants:
//
//   - the right that a call needs is asked on the very service that the handler
//     acts on, read by the same function (SEC-03);
//   - what the parameter check refuses is stored nowhere, also when it comes
//     inside the JSON of a beat;
//   - the instances of a list are written as package naming encoded them, never
//     sorted or encoded per request (ENG-05).
//
// The package owns no goroutine. Start reading at Routes, then generation.
package naminghttp
