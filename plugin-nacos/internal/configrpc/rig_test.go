package configrpc_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/configrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

const patience = streamtest.Patience

// rig is a real node with a real gRPC server in front.
type rig struct {
	core      plugin.Core
	directory auth.Directory
	configs   *config.Service
	api       *configrpc.API
	server    *stream.Server
	address   string

	probe   *streamtest.Probe
	mu      sync.Mutex        // guards changes
	changes []configstore.Key // told to listeners, in order
}

func newRig(tb testing.TB, switches authmap.Switches) *rig {
	tb.Helper()
	node := coretest.Start(tb)
	r := &rig{directory: node.Directory()}
	var err error
	if r.core, err = node.Attach(tb.Context(), "nacos", nil); err != nil {
		tb.Fatalf("Attach() = %v", err)
	}
	r.configs = config.New(config.Settings{Configs: r.core.Configs(), Store: r.core.KV(), Committer: r.core.Txn()})
	r.server, err = stream.New(stream.Settings{
		Gate: authmap.NewGate(r.core.Auth(), switches), Logger: zap.NewNop(), Metrics: prometheus.NewRegistry(),
		Ready: node.Ready, Abilities: map[string]bool{},
	})
	if err != nil {
		tb.Fatalf("New() = %v", err)
	}
	r.configs.OnChange(r.note, func() {}) // before the client is told, who may look at once
	r.api = configrpc.New(configrpc.Settings{Configs: r.configs, Encoder: 1, Timeout: 3 * time.Second, Retries: 50})
	r.api.Register(r.server)
	r.probe = streamtest.NewProbe(r.server)
	r.run(tb)
	return r
}

// note keeps the order of changes.
func (r *rig) note(c configstore.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c.Key)
}

// run serves, and follows the changes; it returns when both have begun.
func (r *rig) run(tb testing.TB) {
	tb.Helper()
	following := make(chan struct{})
	r.configs.OnChange(func(configstore.Change) {}, sync.OnceFunc(func() { close(following) }))
	r.address = streamtest.Serve(tb, r.server, r.configs.Run)
	select {
	case <-following:
	case <-time.After(patience):
		tb.Fatal("Run() has not begun")
	}
}

// told says how many changes listeners were told of, for each config.
func (r *rig) told() map[configstore.Key]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[configstore.Key]int{}
	for _, k := range r.changes {
		out[k]++
	}
	return out
}

// publish stores content past the transport.
func (r *rig) publish(tb testing.TB, dataID, tenant, content string) {
	tb.Helper()
	err := r.configs.Publish(tb.Context(), auth.Actor{Protocol: "nacos"}, config.Publish{
		DataID: dataID, Group: "G", Tenant: tenant, Content: []byte(content),
	})
	if err != nil {
		tb.Fatalf("Publish(%s) = %v", dataID, err)
	}
}

// Dial implements streamtest.Site.
func (r *rig) Dial(tb testing.TB, ip string) *streamtest.Client {
	tb.Helper()
	return streamtest.Dial(tb, r.address, ip)
}

// connect opens a transport and registers it with these labels.
func (r *rig) connect(tb testing.TB, ip string, labels map[string]string) *client {
	tb.Helper()
	return &client{streamtest.Connect(tb, r.address, ip, labels)}
}

// Count implements streamtest.Site.
func (r *rig) Count() int { return r.server.Count() }

// Fence implements streamtest.Site: a config that the client listens to is
// published.
func (r *rig) Fence(tb testing.TB, c *streamtest.Client, n int, where string) {
	tb.Helper()
	name := fmt.Sprintf("fence-%d", n)
	c.Call("ConfigBatchListenRequest", nil, streamtest.JSON(tb, map[string]any{
		"configListenContexts": []any{map[string]any{"dataId": name, "group": "G", "md5": ""}},
	}))
	r.publish(tb, name, "", "x")
	m := c.Next()
	var got struct {
		DataID string `json:"dataId"`
	}
	if err := json.Unmarshal(m.GetBody().GetValue(), &got); err != nil || got.DataID != name {
		tb.Errorf("%s: pushed %s, want nothing", where, m.GetBody().GetValue())
	}
	c.Acknowledge("ConfigChangeNotifyResponse")
}

// client adds what clients of configs do.
type client struct{ *streamtest.Client }
