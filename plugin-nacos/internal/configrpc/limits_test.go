package configrpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// SEC-20, NAC-CFG-60: one batch names at most 3,000 configs; a longer one is
// refused whole.
func TestListenLimit(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	c := r.connect(t, "10.0.0.1", nil)
	batch := func(n int) []byte {
		contexts := make([]map[string]any, n)
		for i := range contexts {
			contexts[i] = map[string]any{"dataId": fmt.Sprintf("d%d", i), "group": "G", "md5": ""}
		}
		return streamtest.JSON(t, map[string]any{"configListenContexts": contexts})
	}
	if _, body := c.Call("ConfigBatchListenRequest", nil, batch(3001)); !strings.Contains(string(body), `"errorCode":400`) {
		t.Errorf("3,001 configs = %.200s, want a refusal with 400", body)
	}
	if n := len(r.api.ListenedBy("10.0.0.1")); n != 0 {
		t.Errorf("after the refusal %d configs are listened to, want none", n)
	}
	if _, body := c.Call("ConfigBatchListenRequest", nil, batch(3000)); !strings.Contains(string(body), `"resultCode":200`) {
		t.Errorf("3,000 configs = %.200s, want success", body)
	}
	if n := len(r.api.ListenedBy("10.0.0.1")); n != 3000 {
		t.Errorf("%d configs are listened to, want 3,000", n)
	}
}

// SEC-20: one connection may have 128 calls open; the next one waits.
func TestStreamLimit(t *testing.T) {
	r := newRig(t, authmap.Switches{})
	c := r.Dial(t, "10.0.0.1")
	api := nacospb.NewBiRequestStreamClient(c.Conn)
	for n := range 128 {
		if _, err := api.RequestBiStream(t.Context()); err != nil {
			t.Fatalf("stream %d = %v", n, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := nacospb.NewRequestClient(c.Conn).Request(ctx, c.Payload("ServerCheckRequest", nil, []byte("{}")))
	if code := status.Code(err); code != codes.DeadlineExceeded {
		t.Errorf("call 129 = %v, want it to wait", err)
	}
}
