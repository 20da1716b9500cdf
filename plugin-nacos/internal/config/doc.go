// Package config holds what a Nacos server means by a config, for every
// transport alike: which spellings name one item, what a publish checks and
// overwrites, which content a caller is answered, and which changes wake it.
//
// Invariants:
//
//   - "", a missing tenant and "public" are one namespace on every call
//     (NAC-CFG-01); other spellings are namespaces of their own;
//   - a read is Fresh unless the caller asks for the local state (ARC-R08);
//   - stored bytes are never re-encoded, the digest is that of the bytes;
//   - beta and tag grays are variants "beta" and "tag_<tag>"; removing the
//     formal content removes them with it (NAC-CFG-26).
//
// The package owns no goroutine: Service.Run is called by a worker of the host,
// pulls the one stream of changes and calls the listeners in order. Start
// reading at Service, then Publish.
package config
