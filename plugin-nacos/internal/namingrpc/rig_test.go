package namingrpc_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/namingrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

// rig is a real node with a real gRPC server in front.
type rig struct {
	core      plugin.Core
	directory auth.Directory
	naming    *naming.Service
	api       *namingrpc.API
	server    *stream.Server
	probe     *streamtest.Probe
	address   string
}

// quick are settings under which a push follows its change soon, and a client
// that does not acknowledge is pushed again soon.
func quick() namingrpc.Settings {
	return namingrpc.Settings{Delay: 20 * time.Millisecond, Timeout: 5 * time.Second, Retry: time.Second}
}

func newRig(tb testing.TB, switches authmap.Switches, s namingrpc.Settings) *rig {
	tb.Helper()
	node := coretest.Start(tb)
	r := &rig{directory: node.Directory()}
	var err error
	if r.core, err = node.Attach(tb.Context(), "nacos", nil); err != nil {
		tb.Fatalf("Attach() = %v", err)
	}
	r.naming = naming.New(naming.Settings{
		Catalog: r.core.Registry(), Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(),
		Owner: "nacos", Hosts: 1,
	})
	r.server, err = stream.New(stream.Settings{
		Gate: authmap.NewGate(r.core.Auth(), switches), Logger: zap.NewNop(), Metrics: prometheus.NewRegistry(),
		Ready: node.Ready, Abilities: map[string]bool{"supportPersistentInstanceByGrpc": true},
	})
	if err != nil {
		tb.Fatalf("New() = %v", err)
	}
	s.Naming, s.Logger = r.naming, zap.NewNop()
	if s.Synced == nil {
		s.Synced = fanout.Synced(r.core.Registry())
	}
	r.api = namingrpc.New(s)
	r.api.Register(r.server)
	r.probe = streamtest.NewProbe(r.server)
	following := make(chan struct{})
	r.naming.OnReset(func() { close(following) })
	r.address = streamtest.Serve(tb, r.server, r.naming.Run, r.api.Run)
	<-following
	return r
}

// Dial implements streamtest.Site.
func (r *rig) Dial(tb testing.TB, ip string) *streamtest.Client {
	tb.Helper()
	return streamtest.Dial(tb, r.address, ip)
}

// Count implements streamtest.Site.
func (r *rig) Count() int { return r.server.Count() }

// Fence implements streamtest.Site: a first subscription is pushed (NAC-NAM-30).
func (r *rig) Fence(tb testing.TB, c *streamtest.Client, n int, where string) {
	tb.Helper()
	name := fmt.Sprintf("fence-%d", n)
	for _, subscribe := range []bool{true, false} {
		kind, body := c.Call("SubscribeServiceRequest", nil, streamtest.JSON(tb, map[string]any{
			"namespace": "public", "groupName": "fences", "serviceName": name, "subscribe": subscribe, "clusters": "",
		}))
		if kind != "SubscribeServiceResponse" {
			tb.Fatalf("%s: fence = %s %s", where, kind, body)
		}
		if !subscribe {
			return
		}
		m := c.Next()
		if got := serviceOf(tb, m.GetBody().GetValue()).Name; got != name {
			tb.Errorf("%s: pushed %s, want nothing", where, m.GetBody().GetValue())
		}
		c.Acknowledge("NotifySubscriberResponse")
	}
}

// connect opens a transport of a naming client.
func (r *rig) connect(tb testing.TB, ip string) *client {
	tb.Helper()
	return &client{streamtest.Connect(tb, r.address, ip, map[string]string{"module": "naming", "source": "sdk"})}
}

// client adds what naming clients do, in group G.
type client struct{ *streamtest.Client }

// service is what tests look at in a ServiceInfo.
type service struct {
	Name    string `json:"name"`
	RefTime int64  `json:"lastRefTime"`
	Hosts   []struct {
		IP string `json:"ip"`
	} `json:"hosts"`
}

func (s *service) ips() []string {
	out := []string{}
	for _, h := range s.Hosts {
		out = append(out, h.IP)
	}
	return out
}

func serviceOf(tb testing.TB, body []byte) service {
	tb.Helper()
	var m struct {
		Info service `json:"serviceInfo"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	return m.Info
}

// ask makes a call that must succeed.
func (c *client) ask(kind string, body map[string]any) []byte {
	c.T.Helper()
	body["namespace"], body["groupName"] = "public", "G"
	_, got := c.Call(kind, nil, streamtest.JSON(c.T, body))
	var status struct {
		Code int `json:"resultCode"`
	}
	if err := json.Unmarshal(got, &status); err != nil || status.Code != 200 {
		c.T.Fatalf("%s %v = %s, want success", kind, body, got)
	}
	return got
}

func (c *client) register(service, ip string) {
	c.T.Helper()
	c.ask("InstanceRequest", map[string]any{
		"type": "registerInstance", "serviceName": service, "instance": map[string]any{"ip": ip, "port": 80},
	})
}

func (c *client) deregister(service string) {
	c.T.Helper()
	c.ask("InstanceRequest", map[string]any{"type": "deregisterInstance", "serviceName": service, "instance": map[string]any{}})
}

func (c *client) query(name string) service {
	c.T.Helper()
	return serviceOf(c.T, c.ask("ServiceQueryRequest", map[string]any{"serviceName": name}))
}

func (c *client) subscribe(name string, on bool) service {
	c.T.Helper()
	return serviceOf(c.T, c.ask("SubscribeServiceRequest", map[string]any{"serviceName": name, "subscribe": on, "clusters": ""}))
}

// pushed waits for a push, and acknowledges it.
func (c *client) pushed() service {
	c.T.Helper()
	m := c.Next()
	if kind := m.GetMetadata().GetType(); kind != "NotifySubscriberRequest" {
		c.T.Fatalf("pushed %s, want a list", kind)
	}
	c.Acknowledge("NotifySubscriberResponse")
	return serviceOf(c.T, m.GetBody().GetValue())
}

// until waits for the push of a list with these addresses.
func (c *client) until(name string, ips ...string) service {
	c.T.Helper()
	for {
		s := c.pushed()
		if s.Name == name && fmt.Sprint(s.ips()) == fmt.Sprint(ips) {
			return s
		}
	}
}
