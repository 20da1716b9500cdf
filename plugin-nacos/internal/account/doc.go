// Package account serves login and the first administrator (NAC-AUT-01..07,
// PRD-12), the part of accounts that clients need before anything else.
//
// Invariants: a password or token is never logged; a wrong user and a wrong
// password look alike; what is handed out while nobody has an account opens
// nothing.
//
// The package owns no goroutine. Start reading at Routes.
package account
