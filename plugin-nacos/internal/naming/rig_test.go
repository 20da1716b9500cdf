package naming_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// rig is a service over a real node, which follows its changes.
type rig struct {
	*naming.Service
	t     *testing.T
	core  plugin.Core
	other plugin.Core // another plugin, "consul"
}

var by = auth.Actor{Protocol: "nacos", Subject: "test"}

func newRig(t *testing.T) *rig {
	t.Helper()
	node, err := core.Start(t.Context(), core.Config{DataDir: t.TempDir(), Durability: core.OS})
	if err != nil {
		t.Fatalf("Start() = %v", err)
	}
	t.Cleanup(func() {
		if err := node.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	r := &rig{t: t}
	if r.core, err = node.Attach(t.Context(), "nacos", nil); err != nil {
		t.Fatalf("Attach() = %v", err)
	}
	if r.other, err = node.Attach(t.Context(), "consul", nil); err != nil {
		t.Fatalf("Attach() = %v", err)
	}
	r.Service = naming.New(naming.Settings{
		Catalog: r.core.Registry(), Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(),
		Owner: "nacos", Hosts: 1,
	})
	following := make(chan struct{})
	r.OnReset(sync.OnceFunc(func() { close(following) }))
	ctx, stop := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(func() { stop(); worker.Wait() })
	<-following
	return r
}

func key(name string) registry.ServiceKey { return naming.Key("", "G", name) }

func pairs(kv ...string) registry.Pairs {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return registry.PairsOf(m)
}

func at(ip string, edit ...func(*naming.Instance)) naming.Instance {
	in := naming.NewInstance(ip, 80)
	for _, f := range edit {
		f(&in)
	}
	return in
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%v, want no error", err)
	}
}

// refused wants an *Error with a reason and a text.
func (r *rig) refused(err error, reason naming.Reason, text string) {
	r.t.Helper()
	var got *naming.Error
	if !errors.As(err, &got) || got.Reason != reason || got.Detail != text {
		r.t.Errorf("%v, want reason %d: %s", err, reason, text)
	}
}

func (r *rig) register(k registry.ServiceKey, in naming.Instance) {
	r.t.Helper()
	r.ok(r.Register(r.t.Context(), naming.Address(in.IP, in.Port), k, in))
}

func (r *rig) durable(k registry.ServiceKey, in naming.Instance) {
	r.t.Helper()
	r.ok(r.RegisterPersistent(r.t.Context(), by, k, in))
}

// list is what operators see: address, cluster, weight, health, rotation and
// metadata of each instance.
func (r *rig) list(k registry.ServiceKey) []string {
	r.t.Helper()
	l, err := r.List(r.t.Context(), naming.Query{Key: k, Disabled: true})
	r.ok(err)
	out := []string{}
	for i := range l.Endpoints {
		e := &l.Endpoints[i]
		found, err := r.Find(r.t.Context(), k, naming.Target{IP: e.Host, Port: e.Port, Cluster: e.Subset})
		r.ok(err)
		s := fmt.Sprintf("%s:%d %s w%v", e.Host, e.Port, e.Subset, found.Weight)
		if !found.Healthy {
			s += " down"
		}
		if !e.Enabled {
			s += " off"
		}
		for _, p := range found.Metadata {
			s += " " + p.Key + "=" + p.Value
		}
		out = append(out, s)
	}
	return out
}

func (r *rig) want(k registry.ServiceKey, want ...string) {
	r.t.Helper()
	if got := r.list(k); !slices.Equal(got, want) {
		r.t.Errorf("%s = %q, want %q", k.Name, got, want)
	}
}

// foreign registers an instance of another protocol.
func (r *rig) foreign(k registry.ServiceKey, ip string) {
	r.t.Helper()
	p := registry.Publisher{Key: registry.PublisherKey{Scope: "node"}, Status: registry.Passing}
	r.ok(r.other.Ephemeral().Open(r.t.Context(), p))
	r.ok(r.other.Ephemeral().Publish(r.t.Context(), p.Key, registry.Merge, []registry.Registration{{
		Service: k, Publisher: p.Key, Subset: naming.DefaultCluster, Host: ip, Port: 80, Weight: 1, Status: registry.Passing, Enabled: true,
	}}))
}

func (r *rig) eventually(what string, yes func() bool) {
	r.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(20 * time.Second)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			r.t.Fatalf("%s: still not so", what)
		}
	}
}
