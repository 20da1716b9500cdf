package configrpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
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
