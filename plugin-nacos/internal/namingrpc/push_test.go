package namingrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/namingrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

func key(name string) registry.ServiceKey { return naming.Key("public", "G", name) }

// NAC-NAM-29, 40, 51: everybody who subscribes is pushed; who stopped, or left,
// is not, and is not known any more.
func TestSubscribersComeAndGo(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	provider, one, two := r.connect(t, "10.0.0.9"), r.connect(t, "10.0.0.1"), r.connect(t, "10.0.0.2")
	for _, c := range []*client{one, two} {
		c.subscribe("s", true)
		c.until("s")
	}
	provider.register("s", "10.1.1.1")
	for _, c := range []*client{one, two} {
		c.until("s", "10.1.1.1")
	}
	subs := r.naming.Subscribers(key("s"))
	if len(subs) != 2 || subs[0].IP != "10.0.0.1" || subs[1].IP != "10.0.0.2" || subs[0].Agent != "test" || subs[0].Port == 0 {
		t.Fatalf("Subscribers() = %+v, want both", subs)
	}
	if n := r.naming.SubscriptionCount(); n != 2 {
		t.Errorf("SubscriptionCount() = %d, want 2", n)
	}

	two.subscribe("s", false)
	provider.register("s", "10.1.1.2")
	one.until("s", "10.1.1.2")
	r.Fence(t, two.Client, 1, "who stopped")
	if got, err := r.naming.Subscriptions(t.Context(), subs[1].ClientID); err != nil || len(got) != 0 {
		t.Errorf("Subscriptions() of who stopped = %v, %v, want none", got, err)
	}
	if got, err := r.naming.Subscriptions(t.Context(), subs[0].ClientID); err != nil || len(got) != 1 || got[0].Service != key("s") {
		t.Errorf("Subscriptions() = %v, %v, want one", got, err)
	}
	ids, err := r.naming.Clients(t.Context())
	if err != nil || len(ids) != 3 || !slices.Contains(ids, subs[0].ClientID) {
		t.Errorf("Clients() = %v, %v, want three", ids, err)
	}

	_ = one.Conn.Close()
	streamtest.Eventually(t, "who left is forgotten", func() bool { return len(r.naming.Subscribers(key("s"))) == 0 })
	if n := r.naming.SubscriptionCount(); n != 0 {
		t.Errorf("SubscriptionCount() = %d, want 0", n)
	}
}

// NAC-NAM-37, 51: what a connection registered goes with it at once, also when it
// ends while it registers.
func TestLeave(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	watcher := r.connect(t, "10.0.0.1")
	watcher.subscribe("s", true)
	provider := r.connect(t, "10.0.0.9")
	provider.register("s", "10.1.1.1")
	watcher.until("s", "10.1.1.1")
	_ = provider.Conn.Close()
	watcher.until("s")

	const clients = 20
	var group sync.WaitGroup
	for n := range clients {
		c := r.connect(t, "10.0.0.2")
		ctx := r.probe.Inside(c.Client)
		group.Go(func() {
			for i := range 50 { // past the transport, so that calls go on when it has ended
				body := fmt.Sprintf(`{"namespace":"public","groupName":"G","serviceName":"s%d","type":"registerInstance","instance":{"ip":"10.2.%d.%d","port":1}}`, i%5, n, i)
				r.server.Call(ctx, c.Payload("InstanceRequest", nil, []byte(body)))
			}
		})
		group.Go(func() { _ = c.Conn.Close() })
	}
	group.Wait()
	streamtest.Eventually(t, "nothing is left of who went", func() bool {
		ps, err := r.core.Ephemeral().Publishers(t.Context(), "", 10)
		return err == nil && len(ps) == 0
	})
	if got := watcher.query("s0"); len(got.Hosts) != 0 {
		t.Errorf("s0 = %v, want nothing", got.ips())
	}
}

// NAC-PSH-20: a list that is not acknowledged is pushed again and again, under
// another id, until it is; a newer one takes its place.
func TestRepeated(t *testing.T) {
	s := quick()
	s.Timeout, s.Retry = 50*time.Millisecond, 10*time.Millisecond
	r := newRig(t, authmap.Switches{}, s)
	c, provider := r.connect(t, "10.0.0.1"), r.connect(t, "10.0.0.2")
	c.subscribe("s", true)
	ids := map[string]bool{}
	idOf := func() string {
		var m struct {
			ID string `json:"requestId"`
		}
		if err := json.Unmarshal(c.Next().GetBody().GetValue(), &m); err != nil {
			t.Fatal(err)
		}
		return m.ID
	}
	for range 4 {
		ids[idOf()] = true
	}
	if len(ids) != 4 {
		t.Errorf("four attempts had the ids %v", ids)
	}
	provider.register("s", "10.1.1.1")
	for {
		if got := serviceOf(t, c.Next().GetBody().GetValue()); len(got.Hosts) == 1 {
			break // the older list is not repeated any more
		}
	}
	if got := serviceOf(t, c.Next().GetBody().GetValue()); len(got.Hosts) != 1 {
		t.Errorf("after the newer list = %v, want it again", got.ips())
	}

	// Who unsubscribes is left alone, whatever it had not acknowledged.
	c.subscribe("s", false)
	c.subscribe("t", true)
	for range 3 {
		for {
			got := serviceOf(t, c.Next().GetBody().GetValue())
			if got.Name == "t" {
				break
			}
			if got.Name == "s" && len(ids) == 0 {
				t.Fatal("the list of s is still pushed")
			}
		}
		clear(ids) // what was on its way has come
	}
	c.Acknowledge("NotifySubscriberResponse")
}

// NAC-PRF-07, NAC-QRK-02, NAC-SET-08: while instances come and go every few
// milliseconds each list a subscriber sees is newer than the one before, and the
// last one is the truth. The window is the adaptive one.
func TestFlapping(t *testing.T) {
	r := newRig(t, authmap.Switches{}, namingrpc.Settings{Timeout: 5 * time.Second, Retry: time.Second})
	const subscribers = 5
	var group sync.WaitGroup
	pushes := atomic.Int64{}
	for range subscribers {
		c := r.connect(t, "10.0.0.1")
		last := c.subscribe("s", true).RefTime
		group.Go(func() {
			for {
				got := c.pushed()
				pushes.Add(1)
				if got.RefTime < last {
					t.Errorf("lastRefTime went from %d to %d", last, got.RefTime)
				}
				last = got.RefTime
				if slices.Equal(got.ips(), []string{"10.9.9.9"}) {
					return
				}
			}
		})
	}
	provider := r.connect(t, "10.0.0.2")
	const changes = 300
	for i := range changes {
		if provider.register("s", fmt.Sprintf("10.1.1.%d", i%200)); i%3 == 0 {
			provider.deregister("s")
		}
	}
	provider.register("s", "10.9.9.9")
	group.Wait()
	if n := pushes.Load(); n > subscribers*changes/4 {
		t.Errorf("%d pushes for %d changes and %d subscribers, want them merged", n, changes, subscribers)
	}
}

// NAC-CON-39: a registration that is repeated pushes nothing, whatever it holds.
func TestRepeatedRegistration(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	c, provider := r.connect(t, "10.0.0.1"), r.connect(t, "10.0.0.2")
	for i, instance := range []map[string]any{
		{"ip": "10.1.1.1", "port": 80},
		{"ip": "10.1.1.1", "port": 80, "metadata": map[string]string{"a": "1", "b": "2"}, "weight": 0.5, "healthy": false, "clusterName": "c1"},
		{"ip": "10.1.1.1", "port": 80, "metadata": map[string]string{"preserved.instance.id.generator": "snowflake"}},
		{"ip": "10.1.1.1", "port": 80, "instanceId": "mine"},
	} {
		name := fmt.Sprintf("s%d", i)
		body := map[string]any{"type": "registerInstance", "serviceName": name, "instance": instance}
		provider.ask("InstanceRequest", body)
		c.subscribe(name, true)
		c.until(name, "10.1.1.1")
		provider.ask("InstanceRequest", body)
		provider.ask("BatchInstanceRequest", map[string]any{"type": "batchRegisterInstance", "serviceName": name, "instances": []any{instance}})
		r.Fence(t, c.Client, i, name)
	}
}

// FLT-04: while the server warms up a list that is shorter than one it has shown
// is held back, a longer one is not; then the newest is pushed.
func TestWarmUp(t *testing.T) {
	s := quick()
	var synced atomic.Bool
	s.WarmUp = time.Millisecond
	s.Synced = func(context.Context) (bool, error) { return synced.Load(), nil }
	r := newRig(t, authmap.Switches{}, s)
	c, one, two := r.connect(t, "10.0.0.1"), r.connect(t, "10.0.0.2"), r.connect(t, "10.0.0.3")
	one.register("s", "10.1.1.1")
	if got := c.subscribe("s", true); len(got.Hosts) != 1 {
		t.Fatalf("subscribe = %v, want one instance", got.ips())
	}
	c.until("s", "10.1.1.1")
	two.register("s", "10.1.1.2")
	c.until("s", "10.1.1.1", "10.1.1.2")
	one.deregister("s")
	r.Fence(t, c.Client, 1, "a shorter list while warming up")
	if got := c.query("s"); len(got.Hosts) != 1 {
		t.Errorf("query = %v, want the truth", got.ips())
	}
	synced.Store(true)
	c.until("s", "10.1.1.2")
	two.deregister("s")
	c.until("s")
}

// NAC-CON-08, 37: a server that drains ends the streams and the subscriptions. What
// was registered stays: it is the server that goes, not the clients, and whoever
// still asks must not see services without them.
func TestDrain(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	c := r.connect(t, "10.0.0.1")
	c.register("s", "10.1.1.1")
	c.subscribe("s", true)
	r.server.Drain()
	c.Ended()
	if n := r.naming.SubscriptionCount(); n != 0 {
		t.Errorf("SubscriptionCount() = %d, want 0", n)
	}
	if ps, err := r.core.Ephemeral().Publishers(t.Context(), "", 10); err != nil || len(ps) != 1 {
		t.Errorf("Publishers() = %v, %v, want the client's", ps, err)
	}
	if kind, body := c.Call("ServiceListRequest", nil, []byte("{}")); kind != "ErrorResponse" {
		t.Errorf("on the old transport = %s %s, want a refusal", kind, body)
	}
}

// NAC-NAM-61, 62, NAC-QRK-29: protection as clients are answered and pushed it:
// none without settings, with threshold 0 when all are unhealthy.
func TestProtection(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	c, provider := r.connect(t, "10.0.0.1"), r.connect(t, "10.0.0.2")
	provider.ask("InstanceRequest", map[string]any{
		"type": "registerInstance", "serviceName": "s", "instance": map[string]any{"ip": "10.1.1.1", "port": 80, "healthy": false},
	})
	type info struct {
		Info struct {
			Reached bool `json:"reachProtectionThreshold"`
			Hosts   []struct {
				Healthy bool `json:"healthy"`
			} `json:"hosts"`
		} `json:"serviceInfo"`
	}
	look := func(body []byte, want bool) {
		t.Helper()
		var m info
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Info.Hosts) != 1 || m.Info.Hosts[0].Healthy != want || m.Info.Reached != want {
			t.Errorf("%s, want protected %t", body, want)
		}
	}
	look(c.ask("ServiceQueryRequest", map[string]any{"serviceName": "s"}), false)
	c.subscribe("s", true)
	c.until("s", "10.1.1.1")
	err := r.naming.Redefine(t.Context(), auth.Actor{Protocol: "nacos"}, key("s"), naming.Definition{})
	if err != nil {
		t.Fatalf("Redefine() = %v", err)
	}
	look(c.Next().GetBody().GetValue(), true) // settings change what all are shown
	c.Acknowledge("NotifySubscriberResponse")
	for range 2 { // made, then kept
		look(c.ask("ServiceQueryRequest", map[string]any{"serviceName": "s"}), true)
	}
	healthyOnly := c.ask("ServiceQueryRequest", map[string]any{"serviceName": "s", "healthyOnly": true})
	if got := serviceOf(t, healthyOnly); len(got.Hosts) != 0 {
		t.Errorf("healthy ones = %v, want none (NAC-NAM-63)", got.ips())
	}
}
