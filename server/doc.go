// Package server hosts personalities on one node of core.
package server
