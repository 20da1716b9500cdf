// Package nacossdk runs one table of scenarios over every Nacos SDK that can be
// had, unmodified, against the built server: what an application does with
// configs and services, and what it goes through when the server is restarted.
//
// Each SDK is driven by a child process (folder sdk beside this one) that is
// told what to do and tells what came (package wire). What an SDK does in its
// own way, or cannot do, stands in the table, with the row of the contract where
// there is one. Nothing is skipped silently.
package nacossdk
