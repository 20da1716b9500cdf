package nacos_test

import (
	"testing"

	"github.com/easynet-cn/batata/core/plugin/plugintest"
	nacos "github.com/easynet-cn/batata/plugin-nacos"
)

// The suite that every plugin passes (contracts.md 8.6).
func TestLifecycle(t *testing.T) { plugintest.Run(t, nacos.Plugin) }
