package nacossdk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// told bounds the way of a change to a listener: a new listener of some SDKs
	// reaches the server after up to 5 s (NAC-CFG-66), polls come every 10 s
	// (NAC-TIM-11), and the machine may be busy.
	told = 30 * time.Second
	// lost is after how long an SDK that loses pushes has lost one; longer than
	// a new listener takes.
	lost = 8 * time.Second
	// back bounds what an SDK needs to be itself again after a restart.
	back = 45 * time.Second
)

// TestSDK runs the scenarios over the table. One server and one driver serve
// all scenarios of an SDK; the restart comes last.
func TestSDK(t *testing.T) {
	t.Parallel()
	for _, s := range sdks {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			n := node.Run(t, node.Options{})
			d := s.Start(t)
			r := run{sdk: s, node: n, writer: s.connect(t, d, n, "writer"), reader: s.connect(t, d, n, "reader")}
			t.Run("publish and read", r.publishAndRead)
			t.Run("listen", r.listen)
			t.Run("discover", r.discover)
			t.Run("restart", r.restart)
			t.Run("close", r.close)
		})
	}
}

// run is what the scenarios of one SDK share: two clients in one process.
type run struct {
	sdk
	node           *node.Node
	writer, reader client
}

func (r run) wantMissing(t *testing.T, c client, i wire.Item) {
	t.Helper()
	if m := c.get(t, i); m.Content != "" || !m.OK {
		t.Fatalf("get(%s) by %s = %q, %t, %q, want nothing, without an error", i.DataID, c.name, m.Content, m.OK, m.Error)
	}
}

// NAC-CFG-20, 23, 40, 42, 48; NAC-H1C-01, 05, 06: what was published is read at
// once by everybody, byte for byte, until it is removed.
func (r run) publishAndRead(t *testing.T) {
	for i, content := range []string{
		"a: 1\n", "中文内容\r\n\t\"x\" \\ %41+b&c=d", strings.Repeat("0123456789", 20<<10),
	} {
		app := config(fmt.Sprintf("app-%d.yml", i))
		r.wantMissing(t, r.reader, app)
		for _, c := range []string{"replaced", content} {
			r.writer.publish(t, app, c)
			r.writer.wantContent(t, app, c)
		}
		r.reader.wantContent(t, app, content)
		r.writer.must(t, wire.Command{Op: wire.Remove, Item: app})
		r.wantMissing(t, r.writer, app)
		r.wantMissing(t, r.reader, app)
		r.writer.must(t, wire.Command{Op: wire.Remove, Item: app}) // NAC-CFG-48: of what is gone
	}
}

// NAC-CFG-60 to 66, NAC-H1C-30 to 37: the listener of one client is told what
// another publishes.
func (r run) listen(t *testing.T) {
	live := config("live")
	r.writer.publish(t, live, "v1")
	r.reader.must(t, wire.Command{Op: wire.Listen, Item: live})
	if !r.quietListen && !r.reader.hears(t, live, told, "v1") {
		t.Fatalf("the reader was not told the present content within %v", told)
	}
	for _, content := range []string{"v2", "v3 中文", "", "v4"} {
		r.writer.spread(t, live, content, r.reader)
	}
}

// NAC-CON-38, NAC-ERR-20, REL-01: the server is killed and started again on the
// same port and data. Everything published is there; the clients go on by
// themselves, and with them the listener of the scenario before, their
// instances and a subscription.
func (r run) restart(t *testing.T) {
	live, kept := config("live"), config("kept")
	r.writer.publish(t, kept, "before")
	r.beforeRestart(t)

	r.node.Kill()
	if err := r.node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, back, "the writer reads what it wrote before", func() bool {
		m := r.writer.get(t, kept)
		return m.OK && m.Content == "before"
	})
	if r.deaf {
		eventually(t, back, "the reader notices that the server was away", func() bool {
			return r.reader.get(t, kept).OK
		})
	}
	eventually(t, back, "the writer publishes again", func() bool {
		return r.writer.do(t, wire.Command{Op: wire.Publish, Item: kept, Content: "after"}).OK
	})
	r.writer.spread(t, live, "after", r.reader)
	r.afterRestart(t)
}

// The clients can be closed.
func (r run) close(t *testing.T) {
	for _, c := range []client{r.writer, r.reader} {
		if m := c.do(t, wire.Command{Op: wire.Close}); m.OK != (r.closeFails == "") || m.Error != r.closeFails {
			t.Errorf("close of %s = %t, %q, want %q", c.name, m.OK, m.Error, r.closeFails)
		}
	}
}
