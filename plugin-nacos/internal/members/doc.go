// Package members tells who the members of the cluster are, and how well this one
// reaches them, in the words of the reference (nacos-admin.md 9.2): the same
// objects for V1, V2 and the admin plane of V3.
//
// Nothing here changes the cluster: who is a member is decided by the members
// themselves and by the operator's command line.
//
// It owns no goroutine. Start reading at API.Routes, then node.
package members
