// Package nacos is the personality that speaks the protocols of Nacos: gRPC for
// current SDKs, HTTP V1 and V3 for older and simpler clients.
//
// This release serves configs: read, publish, remove, long poll and gRPC pushes;
// services over gRPC: register, query, subscribe and push; login and the first
// administrator. Services over HTTP, V2 and the admin and console APIs are absent.
//
// A request enters by internal/stream (gRPC) or internal/web (HTTP), which parse
// it and ask internal/authmap whether the caller may; the handlers in
// internal/configrpc, internal/namingrpc, internal/v1, internal/v3 and
// internal/account call internal/config and internal/naming, which know what a
// config and a service mean and are the only parts that write. Changes come back
// through one stream each that Service.Run pulls. Start reading at Plugin.
package nacos
