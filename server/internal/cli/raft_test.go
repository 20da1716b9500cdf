package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core"
)

// REL-03: what is damaged is exit code 3, at the start and in verify, with the
// advice last.
func TestDamaged(t *testing.T) {
	t.Chdir(t.TempDir())
	node, err := core.Start(t.Context(), core.Config{DataDir: "d"})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, Settings{}, "admin", "raft", "verify", "--data-dir", "d"); code != 0 || !strings.HasSuffix(out, "nothing is damaged\n") {
		t.Errorf("verify = %d %q %q", code, out, errs)
	}
	if err := os.Remove("d/log/0000000000000001.log"); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, Settings{}, "admin", "raft", "verify", "--data-dir", "d")
	if code != 3 || !strings.Contains(out, "damaged      log d/log is damaged") || !strings.Contains(errs, "batata admin raft truncate --data-dir d --lose-after ") {
		t.Errorf("verify = %d %q %q, want 3 and the command", code, out, errs)
	}
	_, err = core.Start(t.Context(), core.Config{DataDir: "d"})
	if _, ok := errors.AsType[*core.DamageError](err); !ok {
		t.Errorf("Start() = %v, want a DamageError", err)
	}
	var out2 bytes.Buffer
	if err := printReport(&out2, &core.DataReport{Members: []uint64{1, 2}}); err != nil || !strings.Contains(out2.String(), "0000000000000001 0000000000000002") {
		t.Errorf("printReport() = %q, %v", out2.String(), err)
	}
}
