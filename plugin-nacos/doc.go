// Package nacos is the personality that speaks the protocols of Nacos: gRPC for
// current SDKs, HTTP V1 and V3 for older and simpler clients.
//
// This release serves configs: read, publish, remove, long poll and gRPC pushes,
// login and the first administrator. The service registry, V2 and the admin and
// console APIs are absent.
//
// A request enters by internal/stream (gRPC) or internal/web (HTTP), which parse
// it and ask internal/authmap whether the caller may; the handlers in
// internal/configrpc, internal/v1, internal/v3 and internal/account call
// internal/config, which knows what a config means and is the only part that
// writes. Changes come back through one stream that Service.Run pulls. Start
// reading at Plugin.
package nacos
