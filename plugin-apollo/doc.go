// Package apollo will speak the config service, admin service and OpenAPI of
// Apollo over the replicated tables and the config store of core. Work on it
// has not begun; no distribution links it.
package apollo
