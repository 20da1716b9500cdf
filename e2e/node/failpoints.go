package node

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Instrumented is a server built with its failpoints enabled.
type Instrumented struct {
	Binary string
	Points []string // names of the failpoints, sorted
}

// marker is how a failpoint stands in the source.
var marker = regexp.MustCompile(`(?m)^\s*// gofail: var (\w+) `)

// Instrument copies the sources of the checkout, enables the failpoints in the
// copy and builds the server from it. It needs bin/gofail.
func Instrument(t *testing.T) Instrumented {
	t.Helper()
	tree := t.TempDir()
	points, err := copyTree(Root(), tree)
	if err != nil {
		t.Fatal(err)
	}
	var dirs, names []string
	for dir, found := range points {
		dirs = append(dirs, filepath.Join(tree, dir))
		names = append(names, found...)
	}
	slices.Sort(names)
	if len(names) == 0 {
		t.Fatal("the sources have no failpoint")
	}
	run(t, tree, filepath.Join(Root(), "bin", "gofail"), append([]string{"enable"}, dirs...)...)
	binary := filepath.Join(tree, "batata")
	run(t, tree, "go", "build", "-trimpath", "-o", binary, "./server/cmd/batata")
	return Instrumented{Binary: binary, Points: names}
}

// copyTree copies what a build of the server needs and returns the failpoints
// by directory.
func copyTree(from, to string) (map[string][]string, error) {
	points := map[string][]string{}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if unneeded(name) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		if strings.HasSuffix(name, "_test.go") || !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(name) == ".go" {
			for _, m := range marker.FindAllSubmatch(data, -1) {
				points[filepath.Dir(name)] = append(points[filepath.Dir(name)], string(m[1]))
			}
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
	if err != nil {
		return nil, fmt.Errorf("copy sources: %w", err)
	}
	return points, nil
}

// unneeded tells which directories hold nothing that is built: what git does
// not keep, test data, and the modules outside the workspace.
func unneeded(dir string) bool {
	switch dir {
	case "bin", "data", "docs", "e2e", "tools":
		return true
	}
	base := filepath.Base(dir)
	return base == "testdata" || len(base) > 1 && base[0] == '.'
}

// run runs a tool in the tree, with the tree's own workspace.
func run(t *testing.T, dir, tool string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"), "CGO_ENABLED=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(tool), args[0], err, out.String())
	}
}
