package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// writer publishes one config again and again, with rising numbers.
type writer struct {
	c     *members.Cluster
	name  string
	web   *web
	at    int           // member it writes through
	pace  time.Duration // pause behind each write
	acked atomic.Int64  // the last number that was acknowledged
	count atomic.Int64  // of those acknowledged
	sent  atomic.Int64
	fails atomic.Int64
	gap   atomic.Int64 // longest time between two acknowledged writes
}

const numbered = "number "

func value(n int64) string { return numbered + strconv.FormatInt(n, 10) }

// write goes on until ctx ends. After a failure it tries the next member, as a
// client with several addresses does; a failed write is not repeated.
func (w *writer) write(ctx context.Context) {
	defer w.web.close()
	last := time.Now()
	for n := int64(1); ctx.Err() == nil; n++ {
		w.sent.Store(n)
		if err := w.web.publish(ctx, w.c.Nodes[w.at].URL(), w.name, value(n), ""); err != nil {
			if ctx.Err() == nil {
				w.fails.Add(1)
				w.at = (w.at + 1) % len(w.c.Nodes)
				pause(ctx, 2*time.Millisecond)
			}
			continue
		}
		w.acked.Store(n)
		w.count.Add(1)
		if w.pace > 0 {
			pause(ctx, w.pace)
		}
		now := time.Now()
		w.gap.Store(max(w.gap.Load(), int64(now.Sub(last))))
		last = now
	}
}

// writers are some on all members.
type writers struct {
	c      *members.Cluster
	all    []*writer
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startWriters lets writers work until stop.
func startWriters(c *members.Cluster, seed uint64, count int) *writers {
	return pacedWriters(c, seed, count, 0)
}

func pacedWriters(c *members.Cluster, seed uint64, count int, pace time.Duration) *writers {
	ctx, cancel := context.WithCancel(context.Background())
	l := &writers{c: c, cancel: cancel}
	for i := range count {
		w := &writer{c: c, name: fmt.Sprintf("item-%d-%d", i, seed), at: i % len(c.Nodes), web: newWeb(), pace: pace}
		l.all = append(l.all, w)
		l.wg.Go(func() { w.write(ctx) })
	}
	return l
}

// more waits until every writer has got on.
func (l *writers) more(t *testing.T, n int64) {
	t.Helper()
	from := make([]int64, len(l.all))
	for i, w := range l.all {
		from[i] = w.count.Load()
	}
	members.Eventually(t, "the load gets on", func() error {
		for i, w := range l.all {
			if w.count.Load() < from[i]+n {
				return fmt.Errorf("writer %d has written %d", i, w.count.Load())
			}
		}
		return nil
	})
}

// outcome is what became of the writes.
type outcome struct {
	acked, fails int64
	gap          time.Duration
}

// stop ends the load and wants every member to have what was acknowledged last,
// or something that was sent after it.
func (l *writers) stop(t *testing.T) (o outcome) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	client := newWeb()
	defer client.close()
	for _, w := range l.all {
		o.acked += w.count.Load()
		o.fails += w.fails.Load()
		o.gap = max(o.gap, time.Duration(w.gap.Load()))
		for i, n := range l.c.Nodes {
			members.Eventually(t, "a member has what was acknowledged", func() error {
				text, err := client.read(t.Context(), n.URL(), w.name)
				if err != nil {
					return err
				}
				got, err := strconv.ParseInt(strings.TrimPrefix(text, numbered), 10, 64)
				if err != nil {
					return err
				}
				if got < w.acked.Load() || got > w.sent.Load() {
					return fmt.Errorf("member %d has number %d of %s, acknowledged were %d, sent %d", i, got, w.name, w.acked.Load(), w.sent.Load())
				}
				return nil
			})
		}
	}
	t.Logf("%d writes acknowledged, 0 lost, %d failed, longest pause of a writer %v", o.acked, o.fails, o.gap.Round(time.Millisecond))
	return o
}

// acked is how many writes were acknowledged.
func (l *writers) acked() (n int64) {
	for _, w := range l.all {
		n += w.count.Load()
	}
	return n
}
