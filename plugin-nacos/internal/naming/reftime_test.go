package naming_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// refTime is what a client is told about a service now.
func (r *rig) refTime(name string) int64 {
	r.t.Helper()
	l, err := r.List(r.t.Context(), naming.Query{Key: key(name)})
	r.ok(err)
	return l.RefTime
}

// NAC-QRK-02: every state that a client is told is later than the one before, and
// the first one after the service was not there is later than that.
func TestRefTimeGrows(t *testing.T) {
	r := newRig(t)
	last := r.refTime("s")
	for i := range 30 {
		r.register(key("s"), at(fmt.Sprintf("10.0.0.%d", i)))
		got := r.refTime("s")
		if got <= last {
			t.Fatalf("state %d: lastRefTime %d after %d", i, got, last)
		}
		last = got
	}
}

// Thousands of changes a second that are seen let no service run ahead of the clock:
// a server that starts again, or another member, would tell less, and clients would
// drop it (NAC-QRK-02).
func TestRefTimeStaysByTheClock(t *testing.T) {
	r := newRig(t)
	r.register(key("calm"), at("10.0.0.1"))
	for n := range 20_000 {
		r.register(key("busy"), at("10.0.0.1", func(in *naming.Instance) { in.Weight = float64(n) }))
		r.refTime("busy")
	}
	r.register(key("calm"), at("10.0.0.2"))
	const most = 150 // registry.maxLead, and what this line takes
	for _, name := range []string{"busy", "calm"} {
		if ahead := r.refTime(name) - time.Now().UnixMilli(); ahead > most {
			t.Errorf("lastRefTime of %s is %d ms ahead of the clock, want at most %d", name, ahead, most)
		}
	}
	after := newRig(t) // on another disk: what is ephemeral is gone anyway
	after.register(key("calm"), at("10.0.0.3"))
	if was, is := r.refTime("calm"), after.refTime("calm"); is < was {
		t.Errorf("after a restart lastRefTime is %d, it was %d", is, was)
	}
}
