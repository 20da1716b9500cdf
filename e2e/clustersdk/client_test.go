package clustersdk

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// client is one client of an SDK, as an application has it.
type client struct {
	*drive.Driver
	sdk
	name string
}

// connect makes a client of SDK k with these addresses.
func (s *suite) connect(t *testing.T, k int, name, addresses string) client {
	t.Helper()
	c := client{s.drivers[k], sdks[k], sdks[k].Name + " " + name}
	c.must(t, wire.Command{
		Op: wire.Connect, Server: addresses, Dir: filepath.Join(c.Dir, strings.ReplaceAll(c.name, " ", "-")),
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

func (c client) publish(t *testing.T, i wire.Item, content string) {
	t.Helper()
	c.must(t, wire.Command{Op: wire.Publish, Item: i, Content: content})
}

// get reads a config once; again only when the SDK refused to ask.
func (c client) get(t *testing.T, i wire.Item) (m wire.Message) {
	t.Helper()
	members.Within(t, told, "the SDK reads "+i.DataID, func() error {
		m = c.do(t, wire.Command{Op: wire.Get, Item: i})
		if c.limited != "" && strings.Contains(m.Error, c.limited) {
			return fmt.Errorf("it throws %s", m.Error)
		}
		return nil
	})
	return m
}

func (c client) wantContent(t *testing.T, i wire.Item, want string) {
	t.Helper()
	if m := c.get(t, i); !m.OK || m.Content != want {
		t.Errorf("get(%s) by %s = %q, %t, %q, want %q", i.DataID, c.name, m.Content, m.OK, m.Error, want)
	}
}

// heard waits until the newest that the client was told of a config is this;
// false when the limit passes.
func (c client) heard(i wire.Item, limit time.Duration, content string) bool {
	return c.lastly(i, limit, func(m wire.Message) bool { return m.Content == content })
}

// sees waits until the newest that the client was told of a service is this. An
// instance whose client has moved may stand there twice: the old registration is
// listed until its member is out of sight, as all of a protocol's own are
// (BRG-DUP-02), and Java tells its listeners of no list that differs in that alone.
func (c client) sees(i wire.Item, limit time.Duration, want []wire.Instance) bool {
	return c.lastly(i, limit, func(m wire.Message) bool {
		return len(missing(m.Instances, want)) == 0 && len(missing(want, m.Instances)) == 0 && subset(keys(want), keys(m.Instances))
	})
}

// subset says whether all of some is in all.
func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// awake waits until the client is connected again, with both its connections.
func (c client) awake(t *testing.T) {
	t.Helper()
	members.Within(t, told, c.name+" is connected", func() error {
		for _, cmd := range []wire.Command{{Op: wire.Get, Item: config("awake")}, {Op: wire.List, Item: service("awake")}} {
			if m := c.do(t, cmd); !m.OK && (c.limited == "" || !strings.Contains(m.Error, c.limited)) {
				return fmt.Errorf("%s: %s", cmd.Op, m.Error)
			}
		}
		return nil
	})
}

func (c client) lastly(i wire.Item, limit time.Duration, holds func(wire.Message) bool) bool {
	f := c.Feed(c.name, i)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		if m, ok := f.Last(); ok && holds(m) {
			return true
		}
		select {
		case <-f.More():
		case <-c.Done():
			return false
		case <-deadline.C:
			return false
		}
	}
}

// same compares lists of instances without their order, by address and step.
func same(a, b []wire.Instance) bool {
	return len(a) == len(b) && slices.Equal(keys(a), keys(b))
}

// missing are the instances of want that are not in the list.
func missing(list, want []wire.Instance) (out []string) {
	have := map[string]bool{}
	for _, i := range list {
		have[key(i)] = true
	}
	for _, i := range want {
		if !have[key(i)] {
			out = append(out, key(i))
		}
	}
	return out
}

func instance(ip string) wire.Instance {
	return wire.Instance{IP: ip, Port: 8080, Weight: 1, Cluster: "DEFAULT", Metadata: map[string]string{}}
}

func key(i wire.Instance) string { return fmt.Sprintf("%s:%d", i.IP, i.Port) }

// keys are the sorted addresses, each with the step that its client marked it with.
func keys(list []wire.Instance) (out []string) {
	for _, i := range list {
		out = append(out, strings.TrimSuffix(key(i)+" "+i.Metadata[stepKey], " "))
	}
	slices.Sort(out)
	return out
}

// stepKey is the metadata that tells one registration of an instance from another.
const stepKey = "step"
