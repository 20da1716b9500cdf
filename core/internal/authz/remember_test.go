package authz_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

// CTR-A01, NAC-AUT-08: some clients send a password with every request, so a right
// one is worked out once, until anything in the directory changes.
func TestPasswordRemembered(t *testing.T) {
	f := newFixture(t)
	var (
		compared atomic.Int32
		answer   error // of the next comparison, which takes its time otherwise
	)
	f.Compare(func([]byte) error { compared.Add(1); return answer })
	f.apply(t, user("alice", password), user("bob", password))
	want := func(what string, name, pw string, err error, comparisons int32) {
		t.Helper()
		before := compared.Load()
		answer = err
		id, got := f.login(t, name, pw)
		if !errors.Is(got, err) || err == nil && (got != nil || id.Actor != (auth.Actor{Subject: name, Source: "password", Addr: "10.0.0.1"})) {
			t.Errorf("%s: Authenticate() = %+v, %v, want %v", what, id, got, err)
		}
		if n := compared.Load() - before; n != comparisons {
			t.Errorf("%s: %d comparisons, want %d", what, n, comparisons)
		}
	}
	want("first", "alice", password, nil, 1)
	want("again", "alice", password, nil, 0)
	want("somebody else", "bob", password, nil, 1)
	want("wrong", "alice", password+"x", auth.ErrCredentials, 1)
	want("the name and the password cut elsewhere", "alic", "e"+password, auth.ErrCredentials, 1)
	elsewhere, err := f.Authenticate(t.Context(), auth.Credentials{User: "alice", Password: []byte(password), Addr: "10.0.0.2"})
	if err != nil || elsewhere.Actor.Addr != "10.0.0.2" {
		t.Errorf("Authenticate() from elsewhere = %+v, %v", elsewhere, err)
	}
	f.elapsed.Store(int64(48 * time.Hour))
	want("days later", "alice", password, nil, 0)

	f.apply(t, user("alice", "another one"))
	want("after a change", "alice", password, auth.ErrCredentials, 1)
	want("the new one", "alice", "another one", nil, 1)
	want("after a change of somebody else", "bob", password, nil, 1)
	f.apply(t, auth.Op{PutUser: &auth.User{Name: "alice"}})
	want("disabled", "alice", "another one", auth.ErrCredentials, 1)
	f.apply(t, auth.Op{DropUser: "bob"})
	want("dropped", "bob", password, auth.ErrCredentials, 1)
}

// SEC-07: a remembered password does not open a lock.
func TestRememberedAndLocked(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", password))
	if _, err := f.login(t, "alice", password); err != nil {
		t.Fatal(err)
	}
	f.Compare(func([]byte) error { return errors.New("wrong") })
	for range 5 {
		_, _ = f.login(t, "alice", "wrong")
	}
	var locked *auth.LockedError
	if _, err := f.login(t, "alice", password); !errors.As(err, &locked) {
		t.Errorf("Authenticate() = %v, want a lock", err)
	}
}

// Guessing, from however many addresses, takes a part of the processors only, and
// who waits may give up.
func TestComparisonsBounded(t *testing.T) {
	f := newFixture(t)
	var (
		under, most atomic.Int32
		wg          sync.WaitGroup
	)
	entered, release := make(chan struct{}, 64), make(chan struct{})
	f.Compare(func([]byte) error {
		for n := under.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		entered <- struct{}{}
		<-release
		under.Add(-1)
		return errors.New("wrong")
	})
	bound := int32(f.Comparisons())
	for i := range 16 {
		wg.Go(func() {
			_, err := f.Authenticate(t.Context(), auth.Credentials{User: fmt.Sprint("u", i), Password: []byte("x"), Addr: fmt.Sprint(i)})
			if !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("Authenticate() = %v, want %v", err, auth.ErrCredentials)
			}
		})
	}
	for range f.Comparisons() {
		<-entered
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Authenticate(ctx, auth.Credentials{User: "alice", Password: []byte(password), Addr: "z"})
	if !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrCredentials) {
		t.Errorf("Authenticate() of who gave up = %v, want %v", err, context.Canceled)
	}
	close(release)
	wg.Wait()
	if got := most.Load(); got != bound {
		t.Errorf("%d comparisons at once, want %d", got, bound)
	}
	if _, err := f.login(t, "bob", password); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("Authenticate() afterwards = %v, want %v", err, auth.ErrCredentials)
	}
}
