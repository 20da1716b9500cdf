package formation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is who is at which address.
type world struct {
	mu     sync.Mutex // guards what follows
	at     map[string]Answer
	joined []string
	err    error // of Join
}

func (w *world) Describe(_ context.Context, address string, _ []string) (Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.at[address]
	if !ok {
		return a, errors.New("refused")
	}
	return a, nil
}

func (w *world) Join(_ context.Context, address string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.joined = append(w.joined, address)
	return w.err
}

func (w *world) set(address string, a Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[address] = a
}

const me = 1

func search(w *world, own string, list ...string) *Formation {
	return New(Settings{
		Member: me, Asker: w, List: func() []string { return list }, Address: func() string { return own },
		Found: func(string) {}, Every: time.Millisecond,
	})
}

// ARC-R12: what one round of answers comes to, and what the member says that it
// waits for.
func TestDecide(t *testing.T) {
	abc := []string{"a", "b", "c"}
	fresh := func(id uint64, list ...string) Answer { return Answer{Member: id, List: list} }
	tests := map[string]struct {
		own   string
		list  []string
		at    map[string]Answer
		join  error
		out   Outcome
		err   string
		waits string
	}{
		"smallest of all forms": {own: "a", list: abc, at: map[string]Answer{
			"a": fresh(me, abc...), "b": fresh(2, abc...), "c": fresh(3, abc...),
		}, out: Forms},
		"others wait for it": {own: "b", list: abc, at: map[string]Answer{
			"a": fresh(3, abc...), "b": fresh(me, abc...), "c": fresh(2, abc...),
		}, waits: "a forms the group"},
		"alone in its list": {own: "a", list: []string{"a"}, at: map[string]Answer{"a": fresh(me, "a")}, out: Forms},
		"cannot reach itself": {own: "a", list: abc, at: map[string]Answer{
			"b": fresh(2, abc...), "c": fresh(3, abc...),
		}, out: Forms},
		"not in its list": {own: "0", list: []string{"b", "c"}, at: map[string]Answer{
			"b": fresh(2, "b", "c"), "c": fresh(3, "b", "c"),
		}, waits: "the member at b lists b c, this one lists 0 b c"},
		"one silent": {own: "a", list: abc, at: map[string]Answer{
			"a": fresh(me, abc...), "b": fresh(2, abc...),
		}, waits: "no answer from c (refused)"},
		"lists differ": {own: "a", list: abc, at: map[string]Answer{
			"a": fresh(me, abc...), "b": fresh(2, "b", "c"), "c": fresh(3, abc...),
		}, waits: "the member at b lists b c, this one lists a b c: give all of them the same list"},
		"one is in a group": {own: "a", list: abc, at: map[string]Answer{
			"a": fresh(me, abc...), "c": {Member: 3, Cluster: 9},
		}, out: Joins},
		"group lets nobody in now": {own: "a", list: abc, at: map[string]Answer{
			"c": {Member: 3, Cluster: 9},
		}, join: errors.New("no leader"), waits: "c: no leader"},
		"group refuses": {own: "a", list: abc, at: map[string]Answer{
			"c": {Member: 3, Cluster: 9},
		}, join: &RefusedError{Reason: "was removed"}, err: "was removed"},
		"two groups": {own: "a", list: abc, at: map[string]Answer{
			"b": {Member: 2, Cluster: 8}, "c": {Member: 3, Cluster: 9},
		}, err: "b in cluster 0000000000000008; c in cluster 0000000000000009"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &world{at: tt.at, err: tt.join}
			f := search(w, tt.own, tt.list...)
			out, err := f.decide(t.Context(), f.ask(t.Context()))
			if out != tt.out {
				t.Errorf("decide() = %d, want %d (%s)", out, tt.out, f.Waits())
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("decide() = %v, want %q", err, tt.err)
			}
			if tt.waits != "" && !strings.HasPrefix(f.Waits(), tt.waits) {
				t.Errorf("Waits() = %q, want %q", f.Waits(), tt.waits)
			}
		})
	}
}

// At most one of several members that see each other forms the group, whatever
// each of them lists.
func TestAtMostOneForms(t *testing.T) {
	names := []string{"a", "b", "c"}
	var lists [][]string
	for bits := range 8 {
		var l []string
		for i, n := range names {
			if bits&(1<<i) != 0 {
				l = append(l, n)
			}
		}
		lists = append(lists, l)
	}
	full := func(own string, l []string) []string {
		all := append(slices.Clone(l), own)
		slices.Sort(all)
		return slices.Compact(all)
	}
	for _, la := range lists {
		for _, lb := range lists {
			for _, lc := range lists {
				// A member that nobody lists and that lists nobody is a group of
				// its own by the operator's word; look at those that are linked.
				of := map[string][]string{"a": full("a", la), "b": full("b", lb), "c": full("c", lc)}
				var formed []string
				for i, own := range names {
					at := map[string]Answer{}
					for j, n := range names {
						at[n] = Answer{Member: uint64(10 + j), List: of[n]}
					}
					at[own] = Answer{Member: me, List: of[own]}
					_ = i
					f := search(&world{at: at}, own, of[own]...)
					if out, err := f.decide(t.Context(), f.ask(t.Context())); err != nil {
						t.Fatal(err)
					} else if out == Forms {
						formed = append(formed, own)
					}
				}
				for _, x := range formed {
					for _, y := range formed {
						if x != y && (slices.Contains(of[x], y) || slices.Contains(of[y], x)) {
							t.Errorf("lists %v: both %s and %s form a group", of, x, y)
						}
					}
				}
			}
		}
	}
}

// The operator may order a member to form a group, but not beside one that there
// is.
func TestForce(t *testing.T) {
	w := &world{at: map[string]Answer{}}
	f := search(w, "a", "a", "b")
	type end struct {
		out Outcome
		err error
	}
	ends := make(chan end, 1)
	go func() {
		out, err := f.Run(t.Context())
		ends <- end{out, err}
	}()
	w.mu.Lock()
	w.err = errors.New("starting")
	w.mu.Unlock()
	w.set("b", Answer{Member: 2, Cluster: 9})
	for !strings.Contains(f.Waits(), "starting") {
		<-time.After(time.Millisecond)
	}
	if err := f.Force(); err == nil || !strings.Contains(err.Error(), "b is in cluster 0000000000000009") {
		t.Errorf("Force() beside a group = %v, want a refusal", err)
	}
	w.mu.Lock()
	delete(w.at, "b")
	w.mu.Unlock()
	for !strings.Contains(f.Waits(), "no answer from b") {
		<-time.After(time.Millisecond)
	}
	if err := f.Force(); err != nil {
		t.Errorf("Force() = %v", err)
	}
	if e := <-ends; e.out != Forms || e.err != nil {
		t.Errorf("Run() = %d, %v, want it to form", e.out, e.err)
	}
}

// The name by which the list reaches this member becomes its address; those that
// invite it are asked too.
func TestFoundAndInvited(t *testing.T) {
	w := &world{at: map[string]Answer{
		"host-a": {Member: me}, "b": {Member: 2, List: []string{"b", "host-a"}}, "z": {Member: 9, Cluster: 4},
	}}
	own := "10.0.0.1"
	f := New(Settings{
		Member: me, Asker: w, List: func() []string { return []string{"b", "host-a"} }, Address: func() string { return own },
		Found: func(a string) { own = a },
	})
	f.ask(t.Context())
	if own != "host-a" {
		t.Errorf("address = %s, want host-a", own)
	}
	f.Invite([]string{"z"})
	out, err := f.decide(t.Context(), f.ask(t.Context()))
	if out != Joins || err != nil || !slices.Equal(w.joined, []string{"z"}) {
		t.Errorf("decide() = %d, %v after Join of %v, want to join z", out, err, w.joined)
	}
}

func TestRunEnds(t *testing.T) {
	f := search(&world{at: map[string]Answer{}}, "a", "a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if out, err := f.Run(ctx); out != 0 || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer from b") {
		t.Errorf("Run() = %d, %v, want what it waited for", out, err)
	}
}
