package cluster

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// listener waits for changes of one config by long polls on one member, and reads
// what it is told of there. What it has read is in order.
type listener struct {
	member int
	name   string
	mu     sync.Mutex // guards seen
	seen   []int64    // numbers, in the order they were read
}

// listen goes on until ctx ends. A lost poll is made again with what was read last.
func (l *listener) listen(ctx context.Context, c *members.Cluster) {
	client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	defer client.CloseIdleConnections()
	w := &web{client}
	content := ""
	for ctx.Err() == nil {
		base := c.Nodes[l.member].URL()
		changed, err := l.poll(ctx, client, base, content)
		if err == nil && changed {
			var now string
			if now, err = w.read(ctx, base, l.name); err == nil && now != "" {
				content = now
				l.note(now)
			}
		}
		if err != nil && ctx.Err() == nil {
			pause(ctx, 20*time.Millisecond)
		}
	}
}

func (l *listener) note(content string) {
	n, err := strconv.ParseInt(strings.TrimPrefix(content, numbered), 10, 64)
	if err != nil {
		n = -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, n)
}

func (l *listener) poll(ctx context.Context, client *http.Client, base, content string) (bool, error) {
	digest := ""
	if content != "" {
		digest = md5of(content)
	}
	form := url.Values{"Listening-Configs": {l.name + "\x02" + group + "\x02" + digest + "\x01"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+configs+"/listener", strings.NewReader(form.Encode()))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Long-Pulling-Timeout", "10000")
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &refusedError{resp.StatusCode, string(b)}
	}
	return len(b) > 0, err
}

// last is what was read last.
func (l *listener) last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) == 0 {
		return 0
	}
	return l.seen[len(l.seen)-1]
}

// ordered wants no step back. Numbers rise with each publish of the one writer, so
// this is the order of the commits; what was skipped may be, since a listener is
// told that something changed and reads the newest.
func (l *listener) ordered() (back int, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 1; i < len(l.seen); i++ {
		if l.seen[i] < l.seen[i-1] {
			back++
			why = fmt.Sprintf("member %d told %d of %s behind %d", l.member, l.seen[i], l.name, l.seen[i-1])
		}
	}
	return back, why
}

// REL-20, RBS-03: listeners on every member never miss the last value, see the
// values in the order in which they were committed and never go back, while
// members are cut off, killed and paused.
func TestListeners(t *testing.T) {
	onlyLong(t)
	seed := seedOf(t)
	c := members.Run(t, members.Options{Faults: true, Seed: seed})
	s := &site{t: t, c: c, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	s.writers = pacedWriters(c, seed, 6, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var all []*listener
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, w := range s.writers.all {
		for i := range 9 {
			l := &listener{member: i % 3, name: w.name}
			all = append(all, l)
			wg.Go(func() { l.listen(ctx, c) })
		}
	}
	for range 8 {
		s.writers.more(t, 10)
		s.anyFault()
	}
	s.writers.more(t, 10)
	s.writers.stop(t)
	told, back := 0, 0
	for _, l := range all {
		members.Within(t, healLimit, "the last value is told", func() error {
			got, err := s.number(l.member, l.name)
			if err != nil {
				return err
			}
			if l.last() != got {
				return fmt.Errorf("listener of %s on member %d is at %d, the member at %d", l.name, l.member, l.last(), got)
			}
			return nil
		})
		n, why := l.ordered()
		if back += n; n > 0 {
			t.Error(why)
		}
		told += len(l.seen)
	}
	t.Logf("%d listeners were told %d values, %d out of order", len(all), told, back)
	if told < 500 {
		t.Errorf("%d values say nothing", told)
	}
}

// number is what a member has of a writer's config.
func (s *site) number(i int, name string) (int64, error) {
	w := newWeb()
	defer w.close()
	text, err := w.read(s.t.Context(), s.c.Nodes[i].URL(), name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimPrefix(text, numbered), 10, 64)
}
