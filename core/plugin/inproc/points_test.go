package inproc

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
)

const pointName = "test.point"

// pair is a provider and a contributor on one server.
func pair(t *testing.T, keys ...string) (provider, contributor *Host) {
	t.Helper()
	manifests := []plugin.Manifest{
		{Name: "provider", Offers: map[string]int{pointName: 1}},
		{Name: "contributor", Extends: []plugin.Extension{{Point: pointName, Version: 1, Keys: keys}, {Point: "absent", Version: 7}}},
	}
	points, err := Connect(manifests)
	if err != nil {
		t.Fatalf("Connect() = %v", err)
	}
	hosts := make([]*Host, len(manifests))
	for i, m := range manifests {
		hosts[i] = NewHost(Settings{Manifest: m, Points: points, Logger: zap.NewNop()})
	}
	return hosts[0], hosts[1]
}

// CTR-E01, CTR-E02: a call reaches whoever takes its key; everything else is an
// error that says what happened.
func TestCall(t *testing.T) {
	provider, contributor := pair(t, "echo", "fail", "panic", "large")
	refused := errors.New("refused")
	contributor.Extend(pointName, func(_ context.Context, c plugin.Call) (plugin.Reply, error) {
		switch c.Key {
		case "fail":
			return plugin.Reply{}, refused
		case "panic":
			panic("oops")
		case "large":
			return plugin.Reply{Body: make([]byte, maxCallBody+1)}, nil
		}
		return plugin.Reply{Key: c.Caller.Conn, Body: c.Body}, nil
	})
	contributor.Extend("absent", func(context.Context, plugin.Call) (plugin.Reply, error) { return plugin.Reply{}, nil })
	tests := map[string]struct {
		call plugin.Call
		want error
	}{
		"answered":    {plugin.Call{Key: "echo", Body: []byte("b"), Caller: plugin.Caller{Conn: "c1"}}, nil},
		"refused":     {plugin.Call{Key: "fail"}, refused},
		"nobody":      {plugin.Call{Key: "none"}, kv.ErrNotFound},
		"too large":   {plugin.Call{Key: "echo", Body: make([]byte, maxCallBody+1)}, kv.ErrTooLarge},
		"large reply": {plugin.Call{Key: "large"}, kv.ErrTooLarge},
		"panic":       {plugin.Call{Key: "panic"}, kv.ErrUncertain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			reply, err := provider.Call(t.Context(), pointName, tt.call)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Call() = %v, want %v", err, tt.want)
			}
			if err == nil && (reply.Key != tt.call.Caller.Conn || !bytes.Equal(reply.Body, tt.call.Body)) {
				t.Errorf("Call() = %+v, want what was said", reply)
			}
		})
	}
	if keys, err := provider.Keys(t.Context(), pointName); err != nil || !slices.Equal(keys, []string{"echo", "fail", "large", "panic"}) {
		t.Errorf("Keys() = %q, %v, want the contributor's, sorted", keys, err)
	}
	if _, err := contributor.Keys(t.Context(), pointName); err == nil {
		t.Error("Keys() of a point that another offers = nil error")
	}
}

// A contributor that declares keys and hands over no handler is absent.
func TestCallWithoutHandler(t *testing.T) {
	provider, _ := pair(t, "k")
	if _, err := provider.Call(t.Context(), pointName, plugin.Call{Key: "k"}); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Call() = %v, want %v", err, kv.ErrNotFound)
	}
}

// CTR-L02: calls at once are bounded, and the places come back.
func TestCallLimit(t *testing.T) {
	provider, contributor := pair(t, "k")
	entered, release := make(chan struct{}, maxCalls), make(chan struct{})
	contributor.Extend(pointName, func(context.Context, plugin.Call) (plugin.Reply, error) {
		entered <- struct{}{}
		<-release
		return plugin.Reply{}, nil
	})
	done := make(chan error, maxCalls)
	for range maxCalls {
		go func() {
			_, err := provider.Call(context.WithoutCancel(t.Context()), pointName, plugin.Call{Key: "k"})
			done <- err
		}()
	}
	for range maxCalls {
		<-entered
	}
	if _, err := provider.Call(t.Context(), pointName, plugin.Call{Key: "k"}); !errors.Is(err, kv.ErrOverloaded) {
		t.Errorf("Call() beyond the limit = %v, want %v", err, kv.ErrOverloaded)
	}
	close(release)
	for range maxCalls {
		if err := <-done; err != nil {
			t.Errorf("Call() = %v", err)
		}
	}
	if _, err := provider.Call(t.Context(), pointName, plugin.Call{Key: "k"}); err != nil {
		t.Errorf("Call() afterwards = %v", err)
	}
}

// CTR-E03: the first Next tells what is open, later ones the newest state of
// what changed.
func TestEvents(t *testing.T) {
	provider, contributor := pair(t)
	emit := func(conn string, open bool) {
		t.Helper()
		if err := provider.Emit(t.Context(), pointName, []plugin.Event{{Conn: conn, Open: open}}); err != nil {
			t.Fatalf("Emit() = %v", err)
		}
	}
	emit("a", true)
	emit("b", true)
	emit("a", false)
	es, err := contributor.Events(t.Context(), pointName)
	if err != nil {
		t.Fatalf("Events() = %v", err)
	}
	wantEvents(t, es, "+b")
	emit("c", true)
	emit("b", false)
	emit("c", false)
	emit("c", true)
	wantEvents(t, es, "+c", "-b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := es.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %v, want %v", err, context.Canceled)
	}
	emit("d", true) // while nobody waits
	if err := errors.Join(es.Close(), es.Close()); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, err := es.Next(t.Context()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Next() after Close() = %v, want %v", err, kv.ErrClosed)
	}
	if _, err := contributor.Events(t.Context(), "absent"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Events(absent) = %v, want %v", err, kv.ErrNotFound)
	}
	if err := contributor.Emit(t.Context(), pointName, nil); err == nil {
		t.Error("Emit() on a point that another offers = nil error")
	}
}

func wantEvents(t *testing.T, es plugin.Events, want ...string) {
	t.Helper()
	got, err := es.Next(t.Context())
	if err != nil {
		t.Fatalf("Next() = %v", err)
	}
	var texts []string
	for _, e := range got {
		texts = append(texts, map[bool]string{true: "+", false: "-"}[e.Open]+e.Conn)
	}
	slices.Sort(texts)
	if !slices.Equal(texts, want) {
		t.Errorf("Next() = %q, want %q", texts, want)
	}
}

// CTR-E01: conflicts name both sides.
func TestConnectConflicts(t *testing.T) {
	extends := func(name string, version int, keys ...string) plugin.Manifest {
		return plugin.Manifest{Name: name, Extends: []plugin.Extension{{Point: pointName, Version: version, Keys: keys}}}
	}
	_, err := Connect([]plugin.Manifest{
		{Name: "a", Offers: map[string]int{pointName: 1}},
		{Name: "b", Offers: map[string]int{pointName: 1}},
		extends("c", 1, "k"), extends("d", 1, "k"), extends("e", 2),
	})
	if err == nil {
		t.Fatal("Connect() = nil error")
	}
	for _, want := range []string{"offered by a and by b", "key k is taken by c and by d", "a offers version 1, e needs 2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Connect() = %v, want %q in it", err, want)
		}
	}
}
