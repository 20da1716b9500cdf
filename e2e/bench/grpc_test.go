package main

import (
	"bytes"
	"testing"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// What is rendered beforehand comes to the same bytes.
func TestPublishPayload(t *testing.T) {
	got := publishPayload(func(int) string { return "k1-00000042" }, small)(42)
	if want := swarm.Payload("ConfigPublishRequest", publishBody("k1-00000042", small)); !bytes.Equal(got, want) {
		t.Errorf("publishPayload() = %q, want %q", got, want)
	}
}
