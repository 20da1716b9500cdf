//go:build !race

package namingrpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
)

// ENG-24: a query allocates what was parsed and the ends of the answer; the list
// is that of everybody.
func TestBudgetQuery(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	c := r.connect(t, "10.0.0.1")
	instances := make([]any, 1000)
	for i := range instances {
		instances[i] = map[string]any{"ip": fmt.Sprintf("10.1.%d.%d", i/250, i%250), "port": 80, "metadata": map[string]string{"a": "b"}}
	}
	c.ask("BatchInstanceRequest", map[string]any{"type": "batchRegisterInstance", "serviceName": "s", "instances": instances})
	ctx := r.probe.Inside(c.Client)
	for kind, budget := range map[string]float64{"ServiceQueryRequest": 12, "SubscribeServiceRequest": 12} {
		p := c.Payload(kind, nil, []byte(`{"namespace":"public","serviceName":"s","groupName":"G","cluster":"","healthyOnly":false,"subscribe":true,"clusters":""}`))
		n := testing.AllocsPerRun(1000, func() {
			if a := r.server.Call(ctx, p); len(a.Shared) < 100_000 {
				t.Fatalf("%s = %s %d bytes", kind, a.Type, len(a.Shared))
			}
		})
		if n > budget {
			t.Errorf("%s makes %.0f allocations, want at most %.0f", kind, n, budget)
		}
	}
	p := c.Payload("InstanceRequest", nil, []byte(`{"namespace":"public","serviceName":"t","groupName":"G","type":"registerInstance","instance":{"ip":"10.1.1.1","port":80,"metadata":{"a":"b"}}}`))
	n := testing.AllocsPerRun(1000, func() { r.server.Call(ctx, p) })
	const budget = 25
	if n > budget {
		t.Errorf("a repeated registration makes %.0f allocations, want at most %d", n, budget)
	}
}

// REL-16: one connection subscribes to so many services and no more.
func TestSubscriptionLimit(t *testing.T) {
	r := newRig(t, authmap.Switches{}, quick())
	c := r.connect(t, "10.0.0.1")
	ctx := r.probe.Inside(c.Client)
	subscribe := func(n int) string {
		body := fmt.Sprintf(`{"serviceName":"s%d","groupName":"G","subscribe":true}`, n)
		a := r.server.Call(ctx, c.Payload("SubscribeServiceRequest", nil, []byte(body)))
		return string(a.JSON())
	}
	for n := range 10_000 {
		if got := subscribe(n); !strings.Contains(got, `"resultCode":200`) {
			t.Fatalf("subscription %d = %s", n, got)
		}
	}
	if got := subscribe(10_000); !strings.Contains(got, `"errorCode":400`) {
		t.Errorf("one more = %s, want a refusal with 400", got)
	}
	if got := subscribe(1); !strings.Contains(got, `"resultCode":200`) {
		t.Errorf("a known one = %s, want success", got)
	}
}
