// Package authmap turns what a Nacos client sends into questions that core can
// answer: credentials from headers and parameters, resources and actions from
// the table of routes, and refusals in the words clients look for.
//
// Invariants: a plane whose switch is off is never refused, a plane whose
// switch is on is refused unless core says yes; no header of a client opens
// anything but the configured server identity (CVE-N1, CVE-N5).
//
// The package owns no goroutine. Start reading at Gate.
package authmap
