// Package backup tests batata backup and batata restore with the built server: a
// backup taken by a slow reader while clients write through three members,
// restored to one and to three, and restores that are killed on their way.
package backup
