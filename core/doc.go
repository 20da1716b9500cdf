// Package core assembles one node of Batata.
package core
