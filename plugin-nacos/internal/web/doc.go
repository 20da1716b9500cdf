// Package web is what all HTTP routes of Nacos share: parameters from query and
// form, the caller and what it may do, and answers in the three shapes clients
// know (bare values, Result, servlet errors).
//
// Invariants: a route without an access cannot be registered, and its handler
// runs only after the gate let the caller pass (SEC-03); a path is matched as it
// was sent, never normalised; bodies are bounded before they are read.
//
// The package owns no goroutine. Start reading at Router.
package web
