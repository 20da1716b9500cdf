package configrpc_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// listen adds or removes one listener of group G and returns the answer.
func (c *client) listen(dataID, md5 string, listening bool) string {
	c.T.Helper()
	kind, body := c.Call("ConfigBatchListenRequest", nil, streamtest.JSON(c.T, map[string]any{
		"listen":               listening,
		"configListenContexts": []any{map[string]any{"dataId": dataID, "group": "G", "md5": md5}},
	}))
	if kind != "ConfigChangeBatchListenResponse" {
		c.T.Fatalf("batch listen = %s %s", kind, body)
	}
	return string(body)
}

// notice waits for a push of a change, acknowledges it, and returns the config.
func (c *client) notice() string {
	c.T.Helper()
	m := c.Next()
	var n struct {
		ID     string `json:"requestId"`
		DataID string `json:"dataId"`
	}
	if err := json.Unmarshal(m.GetBody().GetValue(), &n); err != nil || m.GetMetadata().GetType() != "ConfigChangeNotifyRequest" {
		c.T.Fatalf("pushed %v, want a change (%v)", m, err)
	}
	c.Send("ConfigChangeNotifyResponse", streamtest.JSON(c.T, map[string]any{"resultCode": 200, "requestId": n.ID}))
	return n.DataID
}

// NAC-CFG-61, 63, 65: everybody who listens is told of a change once; who
// stopped, or left, is not known any more.
func TestListenersComeAndGo(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	k := config.Key("a", "G", "")
	one, two := r.connect(t, "10.0.0.1", nil), r.connect(t, "10.0.0.2", nil)
	for _, c := range []*client{one, two} {
		c.listen("a", "", true)
	}
	if got, want := r.api.Listeners(k), map[string]string{"10.0.0.1": "", "10.0.0.2": ""}; !maps.Equal(got, want) {
		t.Fatalf("Listeners() = %v, want %v", got, want)
	}
	r.publish(t, "a", "", "first")
	for _, c := range []*client{one, two} {
		if got := c.notice(); got != "a" {
			t.Errorf("%s was told of %q, want a", c.IP, got)
		}
	}

	two.listen("a", "", false)
	r.publish(t, "a", "", "second")
	if got := one.notice(); got != "a" {
		t.Errorf("told of %q, want a", got)
	}
	two.listen("fence", "", true)
	r.publish(t, "fence", "", "x")
	if got := two.notice(); got != "fence" {
		t.Errorf("who stopped was told of %q", got)
	}
	if got, want := r.api.ListenedBy("10.0.0.2"), map[configstore.Key]string{config.Key("fence", "G", ""): ""}; !maps.Equal(got, want) {
		t.Errorf("ListenedBy(10.0.0.2) = %v, want %v", got, want)
	}

	_ = one.Conn.Close()
	streamtest.Eventually(t, "who left is forgotten", func() bool { return len(r.api.Listeners(k)) == 0 })
	if got := r.api.ListenedBy("10.0.0.1"); len(got) != 0 {
		t.Errorf("ListenedBy(10.0.0.1) = %v, want nothing", got)
	}
}

// NAC-CFG-63: what writes the same bytes again tells nobody.
func TestSameContentTellsNobody(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	c := r.connect(t, "10.0.0.1", nil)
	r.publish(t, "a", "", "same")
	c.listen("a", "", true)
	c.listen("fence", "", true)
	r.publish(t, "a", "", "same")
	r.publish(t, "fence", "", "x")
	if got := c.notice(); got != "fence" {
		t.Errorf("told of %q, want only of the fence", got)
	}
	if n := r.told()[config.Key("fence", "G", "")]; n != 1 {
		t.Errorf("the fence was told %d times, want 1", n)
	}
}

// NAC-CON-34: a server that is about to stop asks its clients to go, takes no new
// ones and serves those who are there until they have gone.
func TestMove(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	c := r.connect(t, "10.0.0.1", nil)
	if kind, body := c.Call("HealthCheckRequest", nil, []byte("{}")); !gjson.GetBytes(body, "success").Bool() {
		t.Errorf("health = %s %s, want success", kind, body)
	}
	moved := make(chan struct{})
	go func() { defer close(moved); r.server.Move(t.Context()) }()
	asked := c.Next()
	body := gjson.ParseBytes(asked.GetBody().GetValue())
	if kind := asked.GetMetadata().GetType(); kind != "ConnectResetRequest" || !body.Get("serverIp").Exists() || !body.Get("serverPort").Exists() {
		t.Errorf("was sent %s %s, want ConnectResetRequest with both keys (NAC-CON-35)", kind, body)
	}
	c.Acknowledge("ConnectResetResponse")

	if got := c.listen("a", "", true); !strings.Contains(got, `"resultCode":200`) {
		t.Errorf("listen on the old connection = %s, want success", got)
	}
	if kind, body := c.Call("HealthCheckRequest", nil, []byte("{}")); kind != "HealthCheckResponse" || gjson.GetBytes(body, "success").Bool() {
		t.Errorf("health = %s %s, want a refusal: Go would stay", kind, body)
	}
	again := r.Dial(t, "10.0.0.1")
	_, err := nacospb.NewRequestClient(again.Conn).Request(t.Context(), again.Payload("ServerCheckRequest", nil, []byte("{}")))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("first call of a new client = %v, want code Unavailable", err)
	}
	select {
	case <-moved:
		t.Error("Move returned while a client is there")
	default:
	}
	if err := c.Conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-moved
	r.server.Drain()
}

// NAC-CON-08, 37: a server that drains ends the streams and forgets who listened,
// and refuses who comes again. The streams end with an error: to the SDK of Python
// 3.2.0 one that ends well is no reason to connect again.
func TestDrain(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	c := r.connect(t, "10.0.0.1", nil)
	c.listen("a", "", true)
	r.server.Drain()
	if err := c.End(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want code Unavailable", err)
	}
	if n := r.server.Count(); n != 0 {
		t.Errorf("Count() = %d, want 0", n)
	}
	streamtest.Eventually(t, "the listeners are forgotten", func() bool { return len(r.api.Listeners(config.Key("a", "G", ""))) == 0 })
	if kind, body := c.Call("HealthCheckRequest", nil, []byte("{}")); kind != "ErrorResponse" {
		t.Errorf("on the old transport = %s %s, want a refusal", kind, body)
	}
	again := r.Dial(t, "10.0.0.1")
	again.Send("ConnectionSetupRequest", []byte(`{"labels":{},"abilityTable":{}}`))
	if err := again.End(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream of a new client ended with %v, want code Unavailable", err)
	}
}
