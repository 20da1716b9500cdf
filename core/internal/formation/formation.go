// Package formation decides how a member without data begins: it joins the group
// that the members of its list are in, or is the one that forms it (ARC-R12). A
// member never forms a group while anyone of its list is silent or has another
// list, and never more than one of them does.
//
// The package owns no goroutine but those of one round of questions, which it
// joins. Start reading at Run.
package formation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Answer is what the member at an address says about itself.
type Answer struct {
	Member  uint64
	Cluster uint64   // 0: in none
	List    []string // configured, sorted; of a member in no cluster
}

// Asker asks who is at an address.
type Asker interface {
	Describe(ctx context.Context, address string, list []string) (Answer, error)
	// Join asks to be let in. It returns once this member is one, or with an
	// error: *RefusedError for ever, any other for now.
	Join(ctx context.Context, address string) error
}

// RefusedError says that a cluster will not have this member.
type RefusedError struct{ Reason string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Reason }

// Outcome is how a member begins.
type Outcome uint8

const (
	// Forms says that this member is the first of a new group.
	Forms Outcome = iota + 1
	// Joins says that it is a member of the group that it found.
	Joins
)

// Settings wire a formation.
type Settings struct {
	Member  uint64
	Asker   Asker
	List    func() []string // addresses; may change
	Address func() string   // of this member, as others write it
	// Found is called with the entry of the list that reaches this member.
	Found  func(address string)
	Every  time.Duration // pause between rounds
	Logger *zap.Logger
}

// Formation is one search. Its methods but Run may be called at any time.
type Formation struct {
	s Settings

	mu      sync.Mutex // guards what follows
	invited []string   // addresses of members that asked this one to join
	waits   string     // for what
	forced  chan struct{}
	refused error // why it cannot be forced now
}

// New returns a search that has not begun.
func New(s Settings) *Formation {
	s.Every = cmp.Or(s.Every, 500*time.Millisecond)
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	return &Formation{s: s, forced: make(chan struct{}, 1), waits: "nothing has been asked yet"}
}

const (
	askTimeout = 2 * time.Second
	logEvery   = 10 * time.Second
)

// Invite names members that want this one in their group.
func (f *Formation) Invite(addresses []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invited = slices.Clone(addresses)
}

// Waits says what the search waits for.
func (f *Formation) Waits() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

// Force makes this member form a group although others are silent. It is refused
// while one of them can be reached that is in a group.
func (f *Formation) Force() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused != nil {
		return f.refused
	}
	select {
	case f.forced <- struct{}{}:
	default:
	}
	return nil
}

// Run searches until it is known how this member begins, or ctx ends, or it
// cannot begin at all.
func (f *Formation) Run(ctx context.Context) (Outcome, error) {
	var logged time.Time
	var said string
	tick := time.NewTicker(f.s.Every)
	defer tick.Stop()
	for {
		r := f.ask(ctx)
		out, err := f.decide(ctx, r)
		if out != 0 || err != nil {
			return out, err
		}
		if waits := f.Waits(); waits != said || time.Since(logged) > logEvery {
			f.s.Logger.Info("waiting to become a member", zap.String("reason", waits))
			said, logged = waits, time.Now()
		}
		select {
		case <-tick.C:
		case <-f.forced:
			f.s.Logger.Warn("forming a group by order of the operator, whoever is silent")
			return Forms, nil
		case <-ctx.Done():
			return 0, fmt.Errorf("become a member: %s: %w", f.Waits(), ctx.Err())
		}
	}
}

// round is the answers of one round.
type round struct {
	list    []string // asked, sorted, this member's own address included
	own     string
	answers map[string]Answer // of others
	silent  map[string]error
}

// ask asks everybody at once.
func (f *Formation) ask(ctx context.Context) *round {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list := f.All()
	f.mu.Lock()
	all := slices.Concat(list, f.invited)
	f.mu.Unlock()
	slices.Sort(all)
	all = slices.Compact(all)

	r := &round{answers: map[string]Answer{}, silent: map[string]error{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, address := range all {
		wg.Go(func() {
			a, err := f.s.Asker.Describe(ctx, address, list)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				r.silent[address] = err
			case a.Member == f.s.Member:
				r.own = address
			default:
				r.answers[address] = a
			}
		})
	}
	wg.Wait()
	if r.own != "" && r.own != f.s.Address() {
		f.s.Found(r.own)
	}
	r.own = f.s.Address()
	delete(r.silent, r.own)
	r.list = f.All()
	return r
}

// All is the configured members and this one, sorted.
func (f *Formation) All() []string {
	list := append(slices.Clone(f.s.List()), f.s.Address())
	slices.Sort(list)
	return slices.Compact(list)
}

// decide says what the answers come to; nothing yet is 0.
func (f *Formation) decide(ctx context.Context, r *round) (Outcome, error) {
	groups := map[uint64][]string{}
	for _, address := range slices.Sorted(maps.Keys(r.answers)) {
		if c := r.answers[address].Cluster; c != 0 {
			groups[c] = append(groups[c], address)
		}
	}
	switch len(groups) {
	case 0:
		f.refuse(nil)
		return f.form(r), nil
	case 1:
		for id, addresses := range groups {
			f.refuse(fmt.Errorf("%s is in cluster %016x: this member joins it", addresses[0], id))
			return f.join(ctx, addresses)
		}
	}
	return 0, twoGroups(groups)
}

func twoGroups(groups map[uint64][]string) error {
	parts := make([]string, 0, len(groups))
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		parts = append(parts, fmt.Sprintf("%s in cluster %016x", strings.Join(groups[id], ", "), id))
	}
	return fmt.Errorf("the members of the list are of different clusters: %s: "+
		"take those of all but one out of the list", strings.Join(parts, "; "))
}

func (f *Formation) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = err
}

func (f *Formation) wait(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waits = fmt.Sprintf(format, args...)
}

// join asks one after another.
func (f *Formation) join(ctx context.Context, addresses []string) (Outcome, error) {
	for _, address := range addresses {
		err := f.s.Asker.Join(ctx, address)
		if err == nil {
			return Joins, nil
		}
		if no, ok := errors.AsType[*RefusedError](err); ok {
			return 0, no
		}
		f.wait("%s: %v", address, err)
	}
	return 0, nil
}

// form decides who forms the group when nobody is in one.
func (f *Formation) form(r *round) Outcome {
	if len(r.silent) > 0 {
		parts := make([]string, 0, len(r.silent))
		for _, address := range slices.Sorted(maps.Keys(r.silent)) {
			parts = append(parts, fmt.Sprintf("%s (%v)", address, r.silent[address]))
		}
		f.wait("no answer from %s", strings.Join(parts, ", "))
		return 0
	}
	for _, address := range slices.Sorted(maps.Keys(r.answers)) {
		if other := r.answers[address].List; !slices.Equal(other, r.list) {
			f.wait("the member at %s lists %s, this one lists %s: give all of them the same list",
				address, strings.Join(other, " "), strings.Join(r.list, " "))
			return 0
		}
	}
	if first := r.list[0]; first != r.own {
		f.wait("%s forms the group", first)
		return 0
	}
	return Forms
}
