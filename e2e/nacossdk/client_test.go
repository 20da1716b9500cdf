package nacossdk

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// client is one client of an SDK, as an application has it.
type client struct {
	*driver
	name string
}

// connect makes a client that talks to the node.
func (d *driver) connect(t *testing.T, n *node.Node, name string) client {
	t.Helper()
	c := client{d, name}
	c.must(t, wire.Command{
		Op: wire.Connect, Server: fmt.Sprintf("127.0.0.1:%d", n.Port), Dir: filepath.Join(d.dir, name),
	})
	return c
}

// do sends a command of this client.
func (c client) do(t *testing.T, cmd wire.Command) wire.Message {
	t.Helper()
	cmd.Client = c.name
	return c.call(t, cmd)
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
	eventually(t, callLimit, "the SDK reads "+i.DataID, func() bool {
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
// before it are older news.
func (c client) until(t *testing.T, i wire.Item, limit time.Duration, what string, holds func(wire.Message) bool) {
	t.Helper()
	c.mu.Lock()
	f := c.feed(c.name, i)
	c.mu.Unlock()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	var seen []string
	for {
		for m, ok := f.next(); ok; m, ok = f.next() {
			if holds(m) {
				return
			}
			seen = append(seen, fmt.Sprintf("%q %v", short(m.Content), m.Instances))
		}
		select {
		case <-f.more:
		case <-c.done:
			t.Fatalf("the driver ended before %s", what)
		case <-deadline.C:
			t.Fatalf("%s was not told %s within %v; events: %s", c.name, what, limit, strings.Join(seen, ", "))
		}
	}
}

// untilContent waits until the listener is given the content.
func (c client) untilContent(t *testing.T, i wire.Item, limit time.Duration, content string) {
	t.Helper()
	c.until(t, i, limit, fmt.Sprintf("content %q", content), func(m wire.Message) bool { return m.Content == content })
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
