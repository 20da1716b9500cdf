package nacossdk

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// client is one client of an SDK, as an application has it.
type client struct {
	*drive.Driver
	sdk
	name string
}

// connect makes a client that talks to the node.
func (s sdk) connect(t *testing.T, d *drive.Driver, n *node.Node, name string) client {
	t.Helper()
	c := client{d, s, name}
	c.must(t, wire.Command{
		Op: wire.Connect, Server: fmt.Sprintf("127.0.0.1:%d", n.Port), Dir: filepath.Join(d.Dir, name),
	})
	return c
}

// do sends a command of this client.
func (c client) do(t *testing.T, cmd wire.Command) wire.Message {
	t.Helper()
	cmd.Client = c.name
	return c.Call(t, cmd)
}

// must is do for a call that has to succeed.
func (c client) must(t *testing.T, cmd wire.Command) wire.Message {
	t.Helper()
	m := c.do(t, cmd)
	if !m.OK {
		t.Fatalf("%s by %s of %s%s = false, %q, want success", cmd.Op, c.name, cmd.DataID, cmd.Service, m.Error)
	}
	return m
}

func config(name string) wire.Item { return wire.Item{Group: "e2e", DataID: name} }

func (c client) publish(t *testing.T, i wire.Item, content string) {
	t.Helper()
	c.must(t, wire.Command{Op: wire.Publish, Item: i, Content: content})
}

// get reads a config, again when the SDK finds that it was asked too often.
func (c client) get(t *testing.T, i wire.Item) wire.Message {
	t.Helper()
	var m wire.Message
	eventually(t, drive.CallLimit, "the SDK reads "+i.DataID, func() bool {
		m = c.do(t, wire.Command{Op: wire.Get, Item: i})
		return c.limited == "" || !strings.Contains(m.Error, c.limited)
	})
	return m
}

func (c client) wantContent(t *testing.T, i wire.Item, want string) {
	t.Helper()
	if m := c.get(t, i); !m.OK || m.Content != want {
		t.Fatalf("get(%s) by %s = %q, %t, %q, want %q", i.DataID, c.name, short(m.Content), m.OK, m.Error, short(want))
	}
}

// until reads the events of the client about the item until one holds; those
// before it are older news. It returns false when none came within the limit.
func (c client) until(t *testing.T, i wire.Item, limit time.Duration, holds func(wire.Message) bool) bool {
	t.Helper()
	f := c.Feed(c.name, i)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		for m, ok := f.Next(); ok; m, ok = f.Next() {
			if holds(m) {
				return true
			}
			t.Logf("%s was told %q %v before", c.name, short(m.Content), m.Instances)
		}
		select {
		case <-f.More():
		case <-c.Done():
			t.Fatalf("the driver of %s ended", c.name)
		case <-deadline.C:
			return false
		}
	}
}

// hears waits until the listener is given the content, or the limit passes.
func (c client) hears(t *testing.T, i wire.Item, limit time.Duration, content string) bool {
	t.Helper()
	return c.until(t, i, limit, func(m wire.Message) bool { return m.Content == content })
}

// change publishes the content, or removes the config when there is none.
func (c client) change(t *testing.T, i wire.Item, content string) {
	t.Helper()
	if content == "" {
		c.must(t, wire.Command{Op: wire.Remove, Item: i})
		return
	}
	c.publish(t, i, content)
}

// spread changes a config and waits until all readers are told. For those whose
// SDK loses pushes the change is made anew, a few times.
func (c client) spread(t *testing.T, i wire.Item, content string, readers ...client) {
	t.Helper()
	c.change(t, i, content)
	for _, r := range readers {
		limit, tries := told, 1
		if r.losesPush {
			limit, tries = lost, 4
		}
		for !r.hears(t, i, limit, content) {
			if tries--; tries == 0 {
				t.Fatalf("%s was not told content %q of %s within %v", r.name, content, i.DataID, limit)
			}
			t.Logf("%s lost a push: %s is changed anew", r.name, i.DataID)
			c.publish(t, i, "between")
			c.change(t, i, content)
		}
	}
}

// eventually repeats check until it holds.
func eventually(t *testing.T, limit time.Duration, what string, check func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", limit, what)
		case <-tick.C:
		}
	}
}

func short(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
