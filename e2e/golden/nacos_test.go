package golden_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/e2e/golden"
	"github.com/easynet-cn/batata/e2e/node"
)

// The recorded answers of the real server, without retries. Every scenario uses
// names of its own, so all play against one node.
func TestNacos(t *testing.T) {
	n := node.Run(t, node.Options{Sets: []string{"nacos.core.auth.admin.enabled=false", "nacos.core.auth.console.enabled=false"}})
	files, err := filepath.Glob("testdata/nacos/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios = %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			o := golden.Options{Bases: map[string]string{"main": n.URL()}}
			if name == "client-v3" {
				// The naming steps wait for the service registry.
				o.Only = func(path string) bool { return !strings.Contains(path, "/ns/") }
			}
			golden.Play(t, file, o)
		})
	}
}
