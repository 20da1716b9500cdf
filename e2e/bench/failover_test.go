package main

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// What a takeover is told by: writes that were begun before the end of the leader
// say nothing, and a pause may begin before the signal.
func TestLight(t *testing.T) {
	zero := time.Now()
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	l := &light{done: []span{{0, at(0), at(10)}, {1, at(95), at(180)}, {3, at(130), at(190)}, {2, at(120), at(185)}, {4, at(400), at(500)}}}
	if got := l.first(at(100)); !got.Equal(at(185)) {
		t.Errorf("first accepted write after %v, want 185ms", got.Sub(zero))
	}
	if got := l.longest(at(100)); got != 310*time.Millisecond {
		t.Errorf("longest pause %v, want 310ms", got)
	}
	if !l.first(at(401)).IsZero() {
		t.Error("a write begun before counts as one begun after")
	}
}

func TestProtoField(t *testing.T) {
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 7)
	b := protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1)
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), inner)
	header, _ := protoField(b, 1)
	if _, got := protoField(header, 2); got != 7 {
		t.Errorf("field 2 of field 1 is %d, want 7", got)
	}
	if got, _ := protoField(b[:len(b)-1], 1); got != nil {
		t.Errorf("a torn field is %q, want none", got)
	}
}
