//go:build !race

package configrpc_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// ENG-24: a query allocates the payload of the answer, the body that was parsed,
// and little more; the transport's own come on top.
func TestBudgetQuery(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	r.publish(t, "a", "", "value")
	ctx := r.probe.Inside(r.connect(t, "10.0.0.1", nil).Client)
	p := &nacospb.Payload{
		Metadata: &nacospb.Metadata{Type: "ConfigQueryRequest"},
		Body:     &anypb.Any{Value: []byte(`{"dataId":"a","group":"G","tenant":""}`)},
	}
	const budget = 10
	n := testing.AllocsPerRun(1000, func() {
		if a := r.server.Call(ctx, p); a.Type != "ConfigQueryResponse" {
			t.Fatal(a.Type)
		}
	})
	if n > budget {
		t.Errorf("a query makes %.0f allocations, want at most %d", n, budget)
	}
}
