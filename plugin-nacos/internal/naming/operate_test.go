package naming_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// NAC-H1N-03, 04, NAC-NAM-55: what an operator lays over an instance, as it was
// recorded.
func TestOperatorMetadata(t *testing.T) {
	r := newRig(t)
	k := key("s")
	plain := at("10.0.0.1")
	plain.Metadata = pairs("mine", "y")
	r.register(k, plain)
	r.ok(r.Update(t.Context(), by, k, at("10.0.0.1", func(in *naming.Instance) { in.Weight, in.Metadata = 7, pairs("op", "x") })))
	r.want(k, "10.0.0.1:80 DEFAULT w7 mine=y op=x")
	r.register(k, plain) // it survives
	r.want(k, "10.0.0.1:80 DEFAULT w7 mine=y op=x")
	target := naming.Target{IP: "10.0.0.1", Port: 80}
	r.ok(r.Patch(t.Context(), by, k, target, naming.Operated{Metadata: pairs("p", "1"), Set: true}))
	r.want(k, "10.0.0.1:80 DEFAULT w7 mine=y p=1") // keys of the update are lost
	weight, off := 4.5, false
	r.ok(r.Patch(t.Context(), by, k, target, naming.Operated{Weight: &weight}))
	r.want(k, "10.0.0.1:80 DEFAULT w4.5 mine=y p=1")
	r.ok(r.Patch(t.Context(), by, k, target, naming.Operated{Enabled: &off}))
	r.want(k, "10.0.0.1:80 DEFAULT w4.5 off mine=y p=1")
	r.refused(r.Patch(t.Context(), by, k, naming.Target{IP: "10.0.0.9", Port: 80}, naming.Operated{Weight: &weight}), naming.NoInstance, "no matched ip found!")

	// Ahead of its instance (NAD-NS-12).
	r.ok(r.Update(t.Context(), by, k, at("10.0.0.2", func(in *naming.Instance) { in.Weight = 3 })))
	r.register(k, at("10.0.0.2"))
	r.want(k, "10.0.0.1:80 DEFAULT w4.5 off mine=y p=1", "10.0.0.2:80 DEFAULT w3")
	r.refused(r.Update(t.Context(), by, key("none"), plain), naming.NoServiceOfInstance,
		"service not found, namespace: public, service: Service{namespace='public', group='G', name='none', ephemeral=true, revision=0}")
}

// BRG-OWN-03: what another protocol registered is changed there.
func TestForeignIsReadOnly(t *testing.T) {
	r := newRig(t)
	k := key("s")
	r.foreign(k, "10.0.0.1")
	weight := 2.0
	const text = "instance 10.0.0.1:80 is owned by consul; change it there"
	r.refused(r.Update(t.Context(), by, k, at("10.0.0.1")), naming.Foreign, text)
	r.refused(r.Patch(t.Context(), by, k, naming.Target{IP: "10.0.0.1", Port: 80}, naming.Operated{Weight: &weight}), naming.Foreign, text)
	if got, err := r.UpdateMetadata(t.Context(), by, k, naming.Batch{Metadata: pairs("a", "b")}); err != nil || len(got) != 0 {
		t.Errorf("UpdateMetadata() = %v, %v, want nothing changed", got, err)
	}
	r.want(k, "10.0.0.1:80 DEFAULT w1 batata.io/source=consul")
	r.refused(r.Remove(t.Context(), by, k), naming.ServiceNotEmpty, "Service G@@s is not empty, can't be delete. Please unregister instance first")
}

// NAC-H1N-08: metadata of many instances, as it was recorded.
func TestUpdateMetadata(t *testing.T) {
	r := newRig(t)
	k := key("s")
	r.durable(k, at("10.0.0.1", func(in *naming.Instance) { in.Metadata = pairs("p", "1") }))
	r.durable(k, at("10.0.0.2", func(in *naming.Instance) { in.Cluster = "c9" }))
	both := []string{"10.0.0.1:80:unknown:DEFAULT:persist", "10.0.0.2:80:unknown:c9:persist"}
	update := func(b naming.Batch, want ...string) {
		t.Helper()
		got, err := r.UpdateMetadata(t.Context(), by, k, b)
		var texts []string
		for _, u := range got {
			texts = append(texts, u.String())
		}
		slices.Sort(texts)
		if err != nil || !slices.Equal(texts, want) {
			t.Errorf("UpdateMetadata(%+v) = %v, %v, want %v", b, texts, err, want)
		}
	}
	update(naming.Batch{Kind: naming.Persistent, Metadata: pairs("bk", "bv")}, both...)
	r.want(k, "10.0.0.1:80 DEFAULT w1 bk=bv p=1", "10.0.0.2:80 c9 w1 bk=bv")
	update(naming.Batch{Metadata: pairs("bk", "bv2")}, both...)
	update(naming.Batch{Kind: naming.Ephemeral, Metadata: pairs("no", "no")})
	update(naming.Batch{Targets: []naming.Target{{IP: "10.0.0.1", Port: 80}}, Metadata: pairs("only", "90")}, both[0])
	r.want(k, "10.0.0.1:80 DEFAULT w1 bk=bv2 only=90 p=1", "10.0.0.2:80 c9 w1 bk=bv2")
	update(naming.Batch{Metadata: pairs("bk", ""), Remove: true}, both...)
	r.want(k, "10.0.0.1:80 DEFAULT w1 only=90 p=1", "10.0.0.2:80 c9 w1")
	update(naming.Batch{Targets: []naming.Target{}, Metadata: pairs("x", "y")})
	k = key("none")
	update(naming.Batch{Metadata: pairs("x", "y")})
}

// More instances than one commit takes.
func TestUpdateMetadataOfMany(t *testing.T) {
	r := newRig(t)
	var ins []naming.Instance
	for i := range 600 {
		ins = append(ins, at(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	r.ok(r.RegisterBatch(t.Context(), naming.Connection("c"), key("s"), ins))
	got, err := r.UpdateMetadata(t.Context(), by, key("s"), naming.Batch{Metadata: pairs("a", "b")})
	if err != nil || len(got) != len(ins) {
		t.Fatalf("UpdateMetadata() = %d, %v, want %d", len(got), err, len(ins))
	}
	for _, s := range r.list(key("s")) {
		if s[len(s)-4:] != " a=b" {
			t.Fatalf("instance %q, want the metadata on all", s)
		}
	}
}

// NAC-H1N-19, NAD-NSEM-39: health is set by hand where nothing checks.
func TestSetHealth(t *testing.T) {
	r := newRig(t)
	k := key("s")
	set := func(name, ip string, healthy bool) error {
		return r.SetHealth(t.Context(), by, key(name), naming.Target{IP: ip, Port: 80}, healthy)
	}
	text := func(name string) string {
		return "health check is still working, service: G@@" + name + ", cluster: DEFAULT"
	}
	r.durable(k, at("10.0.0.1"))
	r.register(key("e"), at("10.0.0.1"))
	r.refused(set("s", "10.0.0.1", false), naming.BadHealth, text("s"))
	r.refused(set("e", "10.0.0.1", false), naming.BadHealth, text("e"))
	r.refused(set("none", "10.0.0.1", false), naming.BadHealth, text("none"))
	none, err := naming.ParseChecker(`{"type":"NONE"}`, 80, true)
	r.ok(err)
	r.ok(r.SetCluster(t.Context(), by, k, naming.Cluster{Checker: none}))
	r.ok(set("s", "10.0.0.1", false))
	r.want(k, "10.0.0.1:80 DEFAULT w1 down")
	r.ok(set("s", "10.0.0.9", true)) // unknown
	r.ok(set("s", "10.0.0.1", true))
	r.want(k, "10.0.0.1:80 DEFAULT w1")
}
