// Package consul will speak the HTTP API and the DNS zone of Consul over the
// shared registry and the replicated tables of core. Work on it has not begun;
// no distribution links it.
package consul
