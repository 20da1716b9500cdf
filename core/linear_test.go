package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/kv"
)

// access is one operation on one row, as porcupine sees it.
type access struct {
	kind     byte // 'r', 'w', 'c'
	key      string
	old, val string
}

// outcome is what it came to.
type outcome struct {
	val string // read
	ok  bool   // of a compare
	// unknown says that nobody was told.
	unknown bool
}

// rows is the model: registers that can be read, written and compared.
func rows() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, o := range history {
				k := o.Input.(access).key
				byKey[k] = append(byKey[k], o)
			}
			var out [][]porcupine.Operation
			for _, h := range byKey {
				out = append(out, h)
			}
			return out
		},
		Init: func() any { return "" },
		Step: func(state, in, out any) (bool, any) {
			s, i, o := state.(string), in.(access), out.(outcome)
			switch i.kind {
			case 'r':
				return o.val == s, s
			case 'w':
				return true, i.val
			}
			switch {
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

// history collects what clients did.
type history struct {
	mu    sync.Mutex // guards ops
	ops   []porcupine.Operation
	begin time.Time
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) add(client int, a access, o outcome, call int64) {
	ret := h.now()
	if o.unknown {
		ret = math.MaxInt64 // it may still happen
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: a, Call: call, Output: o, Return: ret})
}

// do runs one operation on a node and notes it, unless it certainly did nothing.
func (h *history) do(ctx context.Context, client int, n *core.Node, a access) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	call := h.now()
	row := func(value string) kv.Txn {
		return kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "t", Key: []byte(a.key), Value: []byte(value)}}}
	}
	switch a.kind {
	case 'r':
		v, err := n.KV().View(ctx, kv.Linearizable)
		if err != nil {
			return err
		}
		r, err := v.Get(ctx, "t", []byte(a.key))
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		o := outcome{}
		if r != nil {
			o.val = string(r.Value)
		}
		h.add(client, a, o, call)
		return nil
	case 'w':
		_, err := n.KV().Commit(ctx, row(a.val))
		return h.wrote(client, a, outcome{}, call, err)
	}
	t := row(a.val)
	t.If = []kv.Compare{{Table: "t", Key: []byte(a.key), Target: kv.Value, Rel: kv.Equal, Bytes: []byte(a.old)}}
	res, err := n.KV().Commit(ctx, t)
	return h.wrote(client, a, outcome{ok: res.Committed}, call, err)
}

func (h *history) wrote(client int, a access, o outcome, call int64, err error) error {
	switch {
	case err == nil:
		h.add(client, a, o, call)
	case errors.Is(err, kv.ErrUncertain):
		h.add(client, a, outcome{unknown: true}, call)
	case errors.Is(err, kv.ErrNoLeader), errors.Is(err, kv.ErrOverloaded), errors.Is(err, kv.ErrClosed), errors.Is(err, kv.ErrReadOnly):
	default:
		return err
	}
	return nil
}

// RBS-01, REL-07, REL-10, JEP-01: reads, writes and compares of rows through all
// members are linearizable while links are cut and members are killed.
func TestLinearizable(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := coretest.StartCluster(t, 3, withTable)
	h := &history{begin: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	nodes := &nodeSet{nodes: []*core.Node{c.Node(0), c.Node(1), c.Node(2)}}
	for i := range 5 {
		r := rand.New(rand.NewPCG(seed, uint64(i)+10))
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				a := access{kind: "rrwc"[r.IntN(4)], key: fmt.Sprint("k", r.IntN(3)), val: fmt.Sprintf("%d-%d", i, n)}
				if a.kind == 'c' {
					a.old = h.seen(a.key, r)
				}
				nodes.use(r.IntN(3), func(node *core.Node) {
					if err := h.do(ctx, i, node, a); err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrNoLeader) && !errors.Is(err, kv.ErrClosed) {
						t.Errorf("%+v = %v", a, err)
					}
				})
				pause(ctx, time.Duration(r.IntN(3000))*time.Microsecond)
			}
		})
	}
	for range 6 {
		fault(ctx, t, c, nodes, random)
	}
	cancel()
	clients.Wait()
	result, info := porcupine.CheckOperationsVerbose(rows(), h.ops, time.Minute)
	if result != porcupine.Ok {
		var page bytes.Buffer
		if err := porcupine.Visualize(rows(), info, &page); err == nil {
			t.Logf("history: %d bytes of a page", page.Len())
		}
		t.Fatalf("linearizable = %v, seed %d, %d operations", result, seed, len(h.ops))
	}
	t.Logf("%d operations are linearizable", len(h.ops))
	if len(h.ops) < 200 {
		t.Errorf("operations = %d: too few to say anything", len(h.ops))
	}
}

// seen is a value that a row had once, so that some compares hold.
func (h *history) seen(key string, r *rand.Rand) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.ops) - 1; i >= 0 && i > len(h.ops)-10; i-- {
		if a := h.ops[i].Input.(access); a.key == key && a.kind != 'r' && r.IntN(2) == 0 {
			return a.val
		}
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// nodeSet lends nodes to clients, so that one that stops is used by nobody.
type nodeSet struct {
	mu    sync.RWMutex // guards nodes
	nodes []*core.Node
}

func (s *nodeSet) use(i int, f func(*core.Node)) {
	s.mu.RLock()
	n := s.nodes[i]
	s.mu.RUnlock()
	if n != nil {
		f(n)
	}
}

func (s *nodeSet) set(i int, n *core.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[i] = n
}

// fault does one bad thing, waits, and mends it.
func fault(ctx context.Context, t *testing.T, c *coretest.Cluster, nodes *nodeSet, r *rand.Rand) {
	t.Helper()
	victim := r.IntN(3)
	if r.IntN(2) == 0 {
		victim = c.Leader()
	}
	wait := time.Duration(200+r.IntN(900)) * time.Millisecond
	switch r.IntN(4) {
	case 0:
		t.Logf("node %d is cut off for %v", victim, wait)
		c.Isolate(victim)
		pause(ctx, wait)
		c.Join(victim)
	case 1:
		other := (victim + 1) % 3
		t.Logf("nodes %d and %d are cut for %v", victim, other, wait)
		c.Cut(victim, other)
		pause(ctx, wait)
		c.Mend(victim, other)
	case 2:
		t.Logf("node %d is killed for %v", victim, wait)
		nodes.set(victim, nil)
		c.Kill(victim)
		pause(ctx, wait)
		c.Start(victim)
		nodes.set(victim, c.Node(victim))
	case 3:
		t.Logf("node %d is stopped and started", victim)
		nodes.set(victim, nil)
		c.Stop(victim)
		c.Start(victim)
		nodes.set(victim, c.Node(victim))
	}
	pause(ctx, 300*time.Millisecond)
}
