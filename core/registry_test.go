package core_test

import (
	"errors"
	"testing"

	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// Two plugins of one node share a catalog; each changes its own only (CTR-M07).
func TestRegistryOfTwoPlugins(t *testing.T) {
	n := coretest.Start(t)
	one, err := n.Attach(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := n.Attach(t.Context(), "two", nil)
	if err != nil {
		t.Fatal(err)
	}
	key := registry.ServiceKey{Namespace: "public", Name: "orders"}
	for i, w := range []registry.Ephemeral{one.Ephemeral(), two.Ephemeral(), n.Ephemeral()} {
		p := registry.PublisherKey{Scope: "conn"}
		if err := w.Open(t.Context(), registry.Publisher{Key: p}); err != nil {
			t.Fatalf("Open() = %v", err)
		}
		r := registry.Registration{Service: key, Host: "10.0.0.1", Port: uint16(i + 1), Enabled: true}
		if err := w.Publish(t.Context(), p, registry.Merge, []registry.Registration{r}); err != nil {
			t.Fatalf("Publish() = %v", err)
		}
	}
	s, err := two.Registry().Service(t.Context(), key)
	if err != nil || len(s.Endpoints) != 3 {
		t.Fatalf("Service() = %+v, %v, want three endpoints", s, err)
	}
	for i, want := range []string{"one", "two", "embedder"} {
		self, _ := n.Cluster().Self(t.Context())
		if p := s.Endpoints[i].Publisher; p.Key.Owner != want || p.Member != self.ID {
			t.Errorf("publisher %d = %+v, want one of %s on this member", i, p, want)
		}
	}
	theirs := registry.PublisherKey{Owner: "one", Scope: "conn"}
	if err := two.Ephemeral().Close(t.Context(), []registry.PublisherKey{theirs}); !errors.Is(err, kv.ErrForeign) {
		t.Errorf("Close() of another plugin's publisher = %v, want %v", err, kv.ErrForeign)
	}
}
