// Package ai will hold the registries of MCP servers and A2A agents. Work on it
// has not begun; no distribution links it.
package ai
