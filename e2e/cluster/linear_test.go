package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
	"github.com/easynet-cn/batata/core/lock/locktest"
	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/cluster/netfault"
)

// newCore starts members made of core alone, behind proxies.
func newCore(t *testing.T, count int, logBytes int64) *site {
	t.Helper()
	seed := seedOf(t)
	c := members.New(t, members.Options{
		Count: count, Binary: os.Args[0], Faults: true, Seed: seed,
		Env: func(int) []string { return []string{fmt.Sprintf("%s=%d", coreChild, logBytes)} },
	})
	c.Start()
	s := &site{t: t, c: c, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	s.coreVoters()
	return s
}

// coreVoters waits until a member counts all as voters that are up.
func (s *site) coreVoters() {
	s.t.Helper()
	members.Eventually(s.t, "all have a vote", func() error {
		if got := s.c.Metric(s.c.Leader(), "voters"); int(got) != len(s.c.Nodes) {
			return fmt.Errorf("%v have", got)
		}
		return nil
	})
}

// call posts to a member of core and decodes the answer. Without an answer the
// outcome is unknown.
func (w *web) call(ctx context.Context, target, contentType, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := w.http.Do(req)
	switch {
	case err != nil && strings.Contains(err.Error(), "connection refused"):
		return kv.ErrNoLeader
	case err != nil:
		return fmt.Errorf("%w: %w", kv.ErrUncertain, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil, resp.StatusCode == http.StatusInternalServerError:
		return fmt.Errorf("%w: %s %w", kv.ErrUncertain, b, err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: %s", kv.ErrNoLeader, b)
	}
	return json.Unmarshal(b, into)
}

// access is one operation on one row, as porcupine sees it, and outcome what it
// came to.
type access struct{ kind, key, old, val string }

type rowOutcome struct {
	val     string
	ok      bool
	unknown bool
}

// registers is the model: rows that can be read, written and compared.
func registers() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) (out [][]porcupine.Operation) {
			by := map[string][]porcupine.Operation{}
			for _, o := range history {
				k := o.Input.(access).key
				by[k] = append(by[k], o)
			}
			for _, h := range by {
				out = append(out, h)
			}
			return out
		},
		Init: func() any { return "" },
		Step: func(state, in, out any) (bool, any) {
			s, i, o := state.(string), in.(access), out.(rowOutcome)
			switch {
			case i.kind == "read":
				return o.val == s, s
			case i.kind == "write":
				return true, i.val
			case o.unknown && s == i.old:
				return true, i.val
			case o.unknown:
				return true, s
			case o.ok:
				return s == i.old, i.val
			}
			return s != i.old, s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
	}
}

// rowClients are clients that keep a history.
type rowClients struct {
	s     *site
	begin time.Time

	mu      sync.Mutex // guards what follows
	ops     []porcupine.Operation
	unknown int
}

const rowKeys = 4

func (h *rowClients) work(ctx context.Context, client int, r *rand.Rand) {
	w := newWeb()
	defer w.close()
	seen := map[string]string{}
	for n := 0; ctx.Err() == nil; n++ {
		a := access{
			kind: []string{"read", "read", "write", "compare"}[r.IntN(4)], key: fmt.Sprint("k", r.IntN(rowKeys)), val: fmt.Sprintf("%d-%d", client, n),
		}
		a.old = seen[a.key]
		form := url.Values{"key": {a.key}, "value": {a.val}, "old": {a.old}}
		base := h.s.c.Nodes[r.IntN(len(h.s.c.Nodes))].URL()
		var o rowOutcome
		var err error
		call := int64(time.Since(h.begin))
		if a.kind == "read" {
			err = w.call(ctx, base+"/kv/read", "application/x-www-form-urlencoded", form.Encode(), &o.val)
			seen[a.key] = o.val
		} else {
			err = w.call(ctx, base+"/kv/"+a.kind, "application/x-www-form-urlencoded", form.Encode(), &o.ok)
		}
		h.add(client, a, o, call, err)
		pause(ctx, time.Duration(r.IntN(8000))*time.Microsecond)
	}
}

func (h *rowClients) add(client int, a access, o rowOutcome, call int64, err error) {
	ret := int64(time.Since(h.begin))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
	case a.kind == "read" || !errors.Is(err, kv.ErrUncertain):
		return
	default:
		o.unknown, ret = true, math.MaxInt64 // it may still happen
		h.unknown++
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: a, Call: call, Output: o, Return: ret})
}

// RBS-01, REL-07, REL-09, REL-10, JEP-01: reads, writes and compares of rows
// through all members are linearizable, and so are locks, whose tokens grow, while
// processes are killed, paused, stopped and cut off.
func TestLinearizable(t *testing.T) {
	s := newCore(t, 3, 0)
	h := &rowClients{s: s, begin: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for i := range 5 {
		clients.Go(func() { h.work(ctx, i, rand.New(rand.NewPCG(s.seed, uint64(i)+10))) })
	}
	calls, unknown := locktest.Faulty(t, &remoteLocks{s: s, web: newWeb()}, func() {
		for range either(5, 20) {
			s.anyFault()
		}
	})
	cancel()
	clients.Wait()
	t.Logf("locks: %d calls answered, %d outcomes unknown", calls, unknown)
	result, info := porcupine.CheckOperationsVerbose(registers(), h.ops, time.Minute)
	if result != porcupine.Ok {
		var page bytes.Buffer
		if err := porcupine.Visualize(registers(), info, &page); err == nil {
			keep(t, "rows.html", page.Bytes())
		}
		t.Errorf("rows are linearizable = %v, seed %d, %d operations", result, s.seed, len(h.ops))
	}
	t.Logf("rows: %d operations are linearizable, %d outcomes unknown", len(h.ops), h.unknown)
	if len(h.ops) < 300 || calls < 100 {
		t.Errorf("%d operations on rows and %d calls on locks say nothing", len(h.ops), calls)
	}
}

// anyFault does one bad thing to a member, waits and mends it.
func (s *site) anyFault() {
	s.t.Helper()
	victim := s.rng.IntN(len(s.c.Nodes))
	if s.rng.IntN(2) == 0 {
		victim = s.c.Leader()
	}
	other := (victim + 1) % len(s.c.Nodes)
	wait := time.Duration(300+s.rng.IntN(2200)) * time.Millisecond
	what := []string{"kill", "stop", "pause", "isolate", "one way", "delay"}[s.rng.IntN(6)]
	s.t.Logf("member %d: %s, %v", victim, what, wait)
	n := s.c.Nodes[victim]
	switch what {
	case "kill", "stop":
		if what == "kill" {
			n.Kill()
		} else {
			n.Stop()
		}
		members.Wait(s.t, wait/4)
		s.c.Start(victim)
	case "pause":
		n.Signal(syscall.SIGSTOP)
		members.Wait(s.t, wait)
		n.Signal(syscall.SIGCONT)
	case "isolate":
		s.c.Net.Isolate(victim, netfault.Link{Cut: true})
		members.Wait(s.t, wait)
	case "one way":
		s.c.Net.Set(victim, other, netfault.Link{Cut: true})
		members.Wait(s.t, wait)
	case "delay":
		s.c.Net.All(netfault.Link{Delay: 30 * time.Millisecond, Jitter: 25 * time.Millisecond, Drop: 0.05})
		members.Wait(s.t, wait)
	}
	s.c.Net.Heal()
	members.Wait(s.t, 300*time.Millisecond)
}

// remoteLocks are the locks of the members, each call through another one.
type remoteLocks struct {
	s   *site
	web *web
}

var _ lock.Locks = (*remoteLocks)(nil)

func (l *remoteLocks) do(ctx context.Context, kind string, c lockCall) (lockCall, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return lockCall{}, err
	}
	var out lockCall
	base := l.s.c.Nodes[rand.IntN(len(l.s.c.Nodes))].URL()
	err = l.web.call(ctx, base+"/lock/"+kind, "application/json", string(body), &out)
	return out, err
}

func (l *remoteLocks) Acquire(ctx context.Context, r lock.Request) (lock.Held, bool, error) {
	out, err := l.do(ctx, "acquire", lockCall{Request: r})
	return out.Held, out.OK, err
}

func (l *remoteLocks) Extend(ctx context.Context, h lock.Held, ttl time.Duration) (bool, error) {
	out, err := l.do(ctx, "extend", lockCall{Held: h, TTL: ttl})
	return out.OK, err
}

func (l *remoteLocks) Release(ctx context.Context, h lock.Held) (bool, error) {
	out, err := l.do(ctx, "release", lockCall{Held: h})
	return out.OK, err
}

func (l *remoteLocks) Holders(context.Context, string, string, int) ([]lock.Held, error) {
	return nil, errors.ErrUnsupported
}
