package namingrpc_test

import (
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

func TestScenario(t *testing.T) {
	streamtest.Play(t, "testdata/scenario", func(tb testing.TB) streamtest.Site {
		tb.Helper()
		return newRig(tb, authmap.Switches{}, quick())
	})
}
