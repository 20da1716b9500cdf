package peer

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ARC-R13.
func TestBreaker(t *testing.T) {
	now := time.Now()
	var b breaker
	fail := func(p pass) bool { return b.done(now, p, false) }
	for range breakerFails - 1 {
		fail(free)
	}
	now = now.Add(breakerWindow + time.Second)
	fail(free)
	if b.state(now) != Closed || b.allow(now) != free {
		t.Fatal("open after failures that are far apart")
	}
	for i := range breakerFails - 1 {
		if opened := fail(free); opened != (i == breakerFails-2) {
			t.Errorf("failure %d: opened = %t", i, opened)
		}
	}
	for pause := breakerFirst; pause <= 2*breakerLast; pause *= 2 {
		wait := min(pause, breakerLast)
		if b.state(now) != Open || b.allow(now.Add(wait-1)) != stop {
			t.Fatalf("not open for %v", wait)
		}
		now = now.Add(wait)
		if b.state(now) != HalfOpen || b.allow(now) != trial || b.allow(now) != stop {
			t.Fatal("want one call to pass when half open")
		}
		// Those that went before it opened say nothing about now.
		if fail(free) || b.done(now, free, true) || b.state(now) != HalfOpen || b.allow(now) != stop {
			t.Fatal("the end of an earlier call counts as that of the trial")
		}
		fail(trial)
	}
	b.back(now) // it is heard again
	if b.state(now) != HalfOpen || b.allow(now) != trial {
		t.Fatal("no call passes to a member that answers pings again")
	}
	fail(trial)
	if now = now.Add(2 * breakerFirst); b.allow(now) != trial {
		t.Errorf("after a failed trial it pauses for more than %v", 2*breakerFirst)
	}
	if closed := b.done(now, trial, true); !closed || b.state(now) != Closed {
		t.Error("not closed after a success")
	}
	b.back(now)
	if b.state(now) != Closed {
		t.Error("not closed any more")
	}
}

// ARC-R13, STY-40: the figures of each member, and a line when calls to one are
// given up and when they are not any more.
func TestBreakerIsTold(t *testing.T) {
	e := &endpoint{self: someone(1, 9), standing: map[uint64]Standing{2: Member}}
	e.call = func(context.Context, uint64, string, string, []byte) ([]byte, error) { return nil, nil }
	e.serve(t, ServerOptions{}, "127.0.0.1:0")
	e.Open(e)
	core, logs := observer.New(zap.InfoLevel)
	figures := prometheus.NewRegistry()
	p, _ := pool(t, someone(2, 9), func(o *PoolOptions) { o.Logger, o.Meters = zap.New(core), figures })
	p.Update(map[uint64]string{1: e.addr})
	reaches(t, p, 1)
	wantFigures(t, figures, map[string]float64{
		"batata_cluster_peer_up": 1, "batata_cluster_peer_breaker_state": 0, "batata_cluster_peer_failed_pings": 0,
		"batata_cluster_breakers_opened_total": 0,
	})
	e.Close()
	eventually(t, "the breaker opens", func() bool {
		_, _ = p.Call(within(t), 1, "s", "m", nil)
		return p.Health()[0].Breaker == Open
	})
	eventually(t, "it is down", func() bool { return p.Health()[0].State == Down })
	wantFigures(t, figures, map[string]float64{
		"batata_cluster_peer_up": 0, "batata_cluster_peer_breaker_state": 2, "batata_cluster_breakers_opened_total": 1,
	})
	e.serve(t, ServerOptions{}, e.addr)
	e.Open(e)
	reaches(t, p, 1)
	eventually(t, "calls pass", func() bool {
		_, err := p.Call(within(t), 1, "s", "m", nil)
		return err == nil
	})
	for message, want := range map[string]int{"breaker of a member is open": 1, "breaker of a member is closed": 1} {
		if got := logs.FilterMessage(message).FilterField(zap.String("member", "0000000000000001")).Len(); got != want {
			t.Errorf("lines %q = %d, want %d", message, got, want)
		}
	}
}

func wantFigures(t *testing.T, from prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s = %v, %t, want %v", name, v, ok, value)
		}
	}
}
