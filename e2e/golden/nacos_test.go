package golden_test

import (
	"os"
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

// waiting.tsv says which recordings are not here yet, and why.
func TestWaiting(t *testing.T) {
	b, err := os.ReadFile("testdata/nacos/waiting.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(strings.TrimSpace(line), "\t")
		if len(columns) != 3 {
			t.Fatalf("line %q, want scenario, row and reason", line)
		}
		if _, err := os.Stat("testdata/nacos/" + columns[0] + ".jsonl"); err == nil {
			t.Errorf("%s is said to wait and is here", columns[0])
		}
	}
}
