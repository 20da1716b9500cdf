package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// elapse lets time pass inside a bubble of testing/synctest.
func elapse(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
}

// rig is an engine and one plugin that writes to it.
type rig struct {
	*Engine
	registry.Ephemeral
	t *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	e := New(Settings{Member: 7})
	return &rig{Engine: e, Ephemeral: e.Ephemeral("one"), t: t}
}

func svc(name string) registry.ServiceKey {
	return registry.ServiceKey{Namespace: "public", Group: "g", Name: name}
}

func scope(name string) registry.PublisherKey { return registry.PublisherKey{Scope: name} }

func at(name, host string, port uint16) registry.Registration {
	return registry.Registration{Service: svc(name), Host: host, Port: port, Weight: 1, Enabled: true}
}

func (r *rig) open(scopes ...string) {
	r.t.Helper()
	for _, s := range scopes {
		if err := r.Open(r.t.Context(), registry.Publisher{Key: scope(s)}); err != nil {
			r.t.Fatalf("Open(%s) = %v", s, err)
		}
	}
}

func (r *rig) publish(s string, mode registry.Mode, rs ...registry.Registration) {
	r.t.Helper()
	if err := r.Publish(r.t.Context(), scope(s), mode, rs); err != nil {
		r.t.Fatalf("Publish(%s) = %v", s, err)
	}
}

func (r *rig) snapshot(name string) *registry.Snapshot {
	r.t.Helper()
	s, err := r.Service(r.t.Context(), svc(name))
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		r.t.Fatalf("Service(%s) = %v", name, err)
	}
	return s
}

// hosts renders the endpoints of a service.
func (r *rig) hosts(name string) string {
	r.t.Helper()
	s := r.snapshot(name)
	if s == nil {
		return "none"
	}
	var out []string
	for _, e := range s.Endpoints {
		out = append(out, fmt.Sprintf("%s:%d", e.Host, e.Port))
	}
	return strings.Join(out, " ")
}

func (r *rig) want(name, want string) {
	r.t.Helper()
	if got := r.hosts(name); got != want {
		r.t.Errorf("Service(%s) = %q, want %q", name, got, want)
	}
}
