package locktest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// call is what one call on one lock asked, and what it came to.
type call struct {
	Kind  kind
	Name  string
	TTL   time.Duration
	Token uint64 // asked with, or got
	OK    bool
	// Unknown is a call that may have happened, or may yet. Whoever made it does
	// not hold the lock.
	Unknown bool
	// When it was made and answered. Operations are ordered by a counter instead,
	// for many things happen at one time.
	Made, Done time.Time
}

type kind uint8

const (
	acquireCall kind = iota + 1
	extendCall
	releaseCall
)

func (k kind) String() string { return [...]string{"", "acquire", "extend", "release"}[k] }

// state is one lock as a model knows it.
type state struct {
	held  bool
	token uint64 // 0: of a call with an unknown outcome, which may end at any time
	last  uint64 // the highest token there was
	ttl   time.Duration
	// The time of a lease begins somewhere between the call and its answer.
	from, to time.Time
}

// rules are what a model allows beyond its states.
type rules struct {
	late     time.Duration
	restarts []time.Time
}

// model is what a lock does, one call after the other: tokens grow, no lease ends
// before its time, and none is held for longer than that and late, except that a
// restart begins it anew.
func (r rules) model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byName,
		Init:      func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any {
			c, okC := out.(call)
			from, okS := s.(state)
			if !okC || !okS {
				return nil
			}
			var next []any
			for _, n := range r.step(from, &c) {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(_, out any) string { return fmt.Sprintf("%+v", out) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	return m.ToModel()
}

func (r rules) step(s state, c *call) []state {
	switch {
	case c.Kind == acquireCall && c.Unknown:
		next := []state{s}
		if r.free(s, c) {
			next = append(next, state{held: true, last: s.last})
		}
		return next
	case c.Kind == acquireCall && c.OK:
		if !r.free(s, c) || c.Token <= s.last {
			return nil
		}
		return []state{{held: true, token: c.Token, last: c.Token, ttl: c.TTL, from: c.Made, to: c.Done}}
	case c.Kind == acquireCall:
		if !s.held || r.overdue(s, c) {
			return nil
		}
		return []state{s}
	}
	return r.change(s, c)
}

// change is an extension or a release.
func (r rules) change(s state, c *call) []state {
	mine := s.held && s.token == c.Token
	done := state{last: s.last}
	if c.Kind == extendCall {
		done = state{held: true, token: s.token, last: s.last, ttl: c.TTL, from: c.Made, to: c.Done}
	}
	switch {
	case c.Unknown && mine:
		return []state{s, done}
	case c.OK && mine:
		return []state{done}
	case c.OK:
		return nil
	case mine && !r.free(s, c):
		return nil
	case mine:
		return []state{{last: s.last}} // its time was over
	}
	return []state{s}
}

// free says whether a lock may be free while a call is under way.
func (r rules) free(s state, c *call) bool {
	return !s.held || s.token == 0 || c.Unknown || !c.Done.Before(s.from.Add(s.ttl))
}

// overdue says whether a lock must have ended before a call was made.
func (r rules) overdue(s state, c *call) bool {
	if s.token == 0 || s.to.IsZero() {
		return false
	}
	end := s.to.Add(s.ttl)
	for _, at := range r.restarts {
		if !at.Before(s.from) {
			end = at.Add(s.ttl)
		}
	}
	return c.Made.After(end.Add(r.late))
}

func byName(history []porcupine.Operation) [][]porcupine.Operation {
	var names []string
	parts := map[string][]porcupine.Operation{}
	for _, o := range history {
		c, ok := o.Output.(call)
		if !ok {
			continue
		}
		if parts[c.Name] == nil {
			names = append(names, c.Name)
		}
		parts[c.Name] = append(parts[c.Name], o)
	}
	slices.Sort(names)
	out := make([][]porcupine.Operation, 0, len(names))
	for _, n := range names {
		out = append(out, parts[n])
	}
	return out
}

// operation orders a call. What is unknown may take effect at any later time.
func operation(client int, begin, end int64, c call) porcupine.Operation {
	if c.Unknown {
		end = math.MaxInt64
	}
	return porcupine.Operation{ClientId: client, Input: c.Name, Call: begin, Output: c, Return: end}
}
