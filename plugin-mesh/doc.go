// Package mesh will serve xDS and Istio MCP from the shared registry and keep
// services in step with Kubernetes. Work on it has not begun; no distribution
// links it.
package mesh
