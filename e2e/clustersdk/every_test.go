package clustersdk

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// ARC-R08, NAC-CFG-60: what a client of one member publishes, clients of all
// others read at once, and their listeners are told; and so with instances. Then
// the clients close, and what they registered is gone on every member.
func (s *suite) everyMember(t *testing.T) {
	all := make([]client, 0, len(sdks)*len(s.Nodes))
	for k := range sdks {
		for i, n := range s.Nodes {
			all = append(all, s.connect(t, k, "of member "+strconv.Itoa(i), address(n)))
		}
	}
	shared, mixed := config("shared"), service("shared")
	all[0].publish(t, shared, "first")
	for _, c := range all {
		c.must(t, wire.Command{Op: wire.Listen, Item: shared})
		c.must(t, wire.Command{Op: wire.Subscribe, Item: mixed})
	}
	var instances []wire.Instance
	for n, writer := range all {
		own, content := config("own-"+strconv.Itoa(n)), "from "+writer.name
		for _, c := range []string{"replaced", content} {
			writer.publish(t, own, c)
			s.everywhere(t, own, c)
			for next := range s.Nodes { // each of another member
				all[(n+1+next)%len(all)].wantContent(t, own, c)
			}
		}
		spread(t, shared, content, writer, all)

		instances = append(instances, instance(fmt.Sprintf("10.4.0.%d", n+1)))
		writer.must(t, wire.Command{Op: wire.Register, Item: mixed, Instance: &instances[n]})
		for _, c := range all {
			if !c.sees(mixed, told, instances) {
				last, _ := c.Feed(c.name, mixed).Last()
				t.Fatalf("%s sees %v, want %v", c.name, keys(last.Instances), keys(instances))
			}
		}
		s.registered(t, mixed, told, instances)
	}
	for _, c := range all {
		_ = c.do(t, wire.Command{Op: wire.Close})
	}
	s.registered(t, mixed, told, nil)
}

// spread publishes a content and waits until all readers are told; for those whose
// SDK loses pushes it is changed anew, a few times.
func spread(t *testing.T, i wire.Item, content string, writer client, readers []client) {
	t.Helper()
	writer.publish(t, i, content)
	for _, r := range readers {
		limit, tries := told, 1
		if r.losesPush {
			limit, tries = lost, 4
		}
		for !r.heard(i, limit, content) {
			if tries--; tries == 0 {
				last, _ := r.Feed(r.name, i).Last()
				t.Fatalf("%s was not told %q by %s within %v, but %q", r.name, content, writer.name, limit, last.Content)
			}
			t.Logf("%s lost a push: %s is changed anew", r.name, i.DataID)
			writer.publish(t, i, "between")
			writer.publish(t, i, content)
		}
	}
}
