// Package clustersdk has the unmodified SDKs of Nacos live through what happens to
// a cluster of three processes: members killed, stopped and started in turn, and a
// rolling restart under load.
//
// Clients that roam have the addresses of all members; those that are bound have
// that of one. All are driven as in nacossdk, by child processes of package drive.
// What a client was told is kept whole and judged at the end: a config never goes
// back and is never empty, of a service never an instance is missing.
//
// Nothing is waited for by time: every step ends when the condition holds, and a
// limit is what the SDK's own periods need.
package clustersdk
