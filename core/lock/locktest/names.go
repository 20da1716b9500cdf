package locktest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// CTR-K01: owners, spaces and names are apart, whatever bytes they are.
func identity(t *testing.T, b Backend) {
	t.Helper()
	one, two := b.Locks(owner), b.Locks(other)
	h := take(t, one, lock.Request{Space: "s", Name: "a"})
	take(t, two, lock.Request{Space: "s", Name: "a"})
	for _, r := range []lock.Request{
		{Space: "sa", Name: "x"},
		{Space: "s", Name: "ax"},
		{Space: "s\x00", Name: "a"},
		{Space: "s", Name: "\x00a"},
		{Space: "s", Name: ""},
		{Space: "s", Name: "A"},
		{Space: "s", Name: "\xff"},
		{Space: "s", Name: "a\x00\x01"},
	} {
		take(t, one, r)
	}
	wantRelease(t, two, lock.Held{Space: "s", Name: "a"}, true)
	wantRelease(t, two, lock.Held{Space: "s", Name: "a"}, false)
	wantExtend(t, two, h, ttl, false)
	wantExtend(t, one, h, ttl, true)
}

func holders(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	for _, name := range []string{"job/b", "job/a", "job", "jobs", "j\x00b", "zebra"} {
		take(t, l, lock.Request{Name: name, Owner: "of " + name, TTL: time.Minute})
	}
	take(t, l, lock.Request{Space: "s2", Name: "job/c"})
	take(t, b.Locks(other), lock.Request{Name: "job/d"})
	for _, tt := range []struct {
		space, prefix string
		limit         int
		want          []string
	}{
		{space, "", 0, []string{"j\x00b", "job", "job/a", "job/b", "jobs", "zebra"}},
		{space, "job", 0, []string{"job", "job/a", "job/b", "jobs"}},
		{space, "job/", 0, []string{"job/a", "job/b"}},
		{space, "job", 2, []string{"job", "job/a"}},
		{space, "j\x00", 0, []string{"j\x00b"}},
		{space, "x", 0, nil},
		{"s2", "", 0, []string{"job/c"}},
		{"", "", 0, nil},
	} {
		hs, err := l.Holders(within(t), tt.space, tt.prefix, tt.limit)
		var got []string
		for _, h := range hs {
			got = append(got, h.Name)
			if h.Space != tt.space || h.Token == 0 || h.Remaining < 0 || h.Remaining > time.Minute {
				t.Errorf("Holders() holds %+v", h)
			}
			if tt.space == space && h.Owner != "of "+h.Name {
				t.Errorf("Holders() holds %+v, want its owner", h)
			}
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Holders(%q, %q, %d) = %q, %v, want %q", tt.space, tt.prefix, tt.limit, got, err, tt.want)
		}
	}
}

// CTR-B10: what is too large is refused before anything is proposed.
func limits(t *testing.T, b Backend) {
	t.Helper()
	l := b.Locks(owner)
	long := func(n int) string { return strings.Repeat("x", n) }
	take(t, l, lock.Request{Space: long(lock.MaxSpace), Name: long(lock.MaxName), Owner: long(lock.MaxName), TTL: lock.MaxTTL})
	take(t, l, lock.Request{Name: strings.Repeat("\x00", lock.MaxName/2), TTL: lock.MinTTL})
	good := lock.Request{Space: space, Name: "a", TTL: ttl}
	for what, edit := range map[string]func(*lock.Request){
		"space":   func(r *lock.Request) { r.Space = long(lock.MaxSpace + 1) },
		"name":    func(r *lock.Request) { r.Name = long(lock.MaxName + 1) },
		"zeros":   func(r *lock.Request) { r.Name = strings.Repeat("\x00", lock.MaxName/2+1) },
		"huge":    func(r *lock.Request) { r.Name = long(kv.MaxKey) },
		"owner":   func(r *lock.Request) { r.Owner = long(lock.MaxName + 1) },
		"no time": func(r *lock.Request) { r.TTL = 0 },
		"short":   func(r *lock.Request) { r.TTL = lock.MinTTL - 1 },
		"past":    func(r *lock.Request) { r.TTL = -time.Second },
		"forever": func(r *lock.Request) { r.TTL = lock.MaxTTL + 1 },
	} {
		r := good
		edit(&r)
		if h, ok, err := l.Acquire(within(t), r); ok || !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s: Acquire() = %+v, %v, %v, want %v", what, h, ok, err, kv.ErrTooLarge)
		}
		h := lock.Held{Space: r.Space, Name: r.Name, Owner: r.Owner, Token: 1}
		if r.TTL == good.TTL {
			if ok, err := l.Release(within(t), h); ok || !errors.Is(err, kv.ErrTooLarge) {
				t.Errorf("%s: Release() = %v, %v, want %v", what, ok, err, kv.ErrTooLarge)
			}
		}
		if ok, err := l.Extend(within(t), h, r.TTL); ok || !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s: Extend() = %v, %v, want %v", what, ok, err, kv.ErrTooLarge)
		}
	}
	for what, args := range map[string][2]string{"space": {long(lock.MaxSpace + 1), ""}, "prefix": {space, long(lock.MaxName + 1)}} {
		if hs, err := l.Holders(within(t), args[0], args[1], 0); hs != nil || !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s: Holders() = %+v, %v, want %v", what, hs, err, kv.ErrTooLarge)
		}
	}
	take(t, l, good)
}
