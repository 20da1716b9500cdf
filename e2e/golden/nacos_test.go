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
			t.Parallel() // long polls and beats wait most of the time
			golden.Play(t, file, golden.Options{Bases: map[string]string{"main": n.URL()}})
		})
	}
}
