package conf

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite conf/application.yml.example")

const examplePath = "../../../conf/application.yml.example"

// STY-20: the documented defaults file is what the table says.
func TestExample(t *testing.T) {
	if *update {
		if err := os.WriteFile(examplePath, []byte(Example()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Example() {
		t.Errorf("%s differs from the table of keys: run go test -update", examplePath)
	}
}

// Every line of the file, uncommented, loads and changes nothing.
func TestExampleLoads(t *testing.T) {
	var lines []string
	for l := range strings.SplitSeq(Example(), "\n") {
		if rest, ok := strings.CutPrefix(l, "#"); ok && !strings.HasPrefix(rest, " ") {
			lines = append(lines, rest)
		}
	}
	v, err := Load(Source{Dir: write(t, map[string]string{"conf/application.yml": strings.Join(lines, "\n")})})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if got := v.Int("nacos.server.main.port"); got != 8848 {
		t.Errorf("port = %d, want 8848", got)
	}
}
