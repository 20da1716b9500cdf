package distro

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// ARC-A07: a client of a member that died has connected to another one. Who ends
// its old set has heard of the new one; a member that has not yet must not see the
// service without the instance.
func TestCoveredEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 4)
		defer w.close()
		dead, next, judge, late := w.nodes[0], w.nodes[1], w.nodes[2], w.nodes[3]
		c := &client{host: "host", port: 80, services: []string{"s"}}
		for i := 0; c.scope == ""; i++ {
			k := registry.PublisherKey{Owner: "test", Scope: fmt.Sprintf("client-%d", i)}
			if choose(hashKey(&k), []uint64{next.id, judge.id, late.id}) == judge.id {
				c.scope = k.Scope
			}
		}
		w.registerAt(c, dead, dead.id)
		w.run(time.Second, nil)
		w.kill(dead)
		w.run(contact-200*time.Millisecond, nil)

		c.scope += "-again"
		w.cuts[pair(next.id, late.id)] = time.Now() // for less than it takes to be out of sight
		w.registerAt(c, next, next.id)
		w.run(time.Second, func() {
			if len(late.scopes(w)) == 0 {
				t.Fatalf("member %d shows no instance", late.id)
			}
		})
		if got := late.scopes(w); !got[c.scope] {
			t.Errorf("member %d shows %v, want %s", late.id, got, c.scope)
		}
		clear(w.cuts)
		w.equal(10*time.Second, fmt.Sprintf("s host:80 %s/%d stale=false health=1\n", c.scope, next.id))
	})
}
