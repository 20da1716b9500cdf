package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

func TestLag(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	m.flush(t)
	if bytes, ops := m.Lag(); bytes != 0 || ops != 0 {
		t.Errorf("Lag() = %d, %d after Flush, want none", bytes, ops)
	}
	m.must(t, put("hot", "a", "12345"), put("cold", "b", "123"), del("hot", "none"))
	m.must(t, del("hot", "a"))
	want := int64(len(m.abs("hot", "a"))*2 + len(m.abs("cold", "b")) + 8)
	if bytes, ops := m.Lag(); bytes != want || ops != 3 {
		t.Errorf("Lag() = %d, %d, want %d, 3", bytes, ops, want)
	}
	m.flush(t)
	if bytes, ops := m.Lag(); bytes != 0 || ops != 0 || m.Persisted() != 3 {
		t.Errorf("Lag() = %d, %d at %d after Flush, want none at 3", bytes, ops, m.Persisted())
	}
}

// ARC-S03: time, bytes and ops each start a commit.
func TestPersistTriggers(t *testing.T) {
	for name, set := range map[string]func(*Options){
		"time":  func(o *Options) { o.PersistEvery = time.Millisecond },
		"bytes": func(o *Options) { o.PersistBytes = 1 },
		"ops":   func(o *Options) { o.PersistOps = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := held(t.TempDir())
			set(&o)
			m := newMember(t, o)
			m.must(t, put("hot", "a", "1"))
			if err := m.durable.wait(t.Context(), 2); err != nil {
				t.Error(err)
			}
		})
	}
}

// What piles up behind a commit goes into a few large ones.
func TestTakeBounds(t *testing.T) {
	m := newMember(t, held(t.TempDir()))
	m.mu.Lock()
	m.live.sealed = []*batch{{bytes: maxCommitBytes - 1}, {bytes: 1}, {bytes: 1}}
	m.mu.Unlock()
	if got, _ := m.take(); len(got) != 2 {
		t.Errorf("take() = %d batches, want 2", len(got))
	}
	m.mu.Lock()
	m.live.sealed = []*batch{{bytes: 2 * maxCommitBytes}, {}}
	m.mu.Unlock()
	if got, _ := m.take(); len(got) != 1 {
		t.Errorf("take() of a large one = %d batches, want 1", len(got))
	}
	m.mu.Lock()
	m.live.sealed = nil
	m.mu.Unlock()
}

// REL-05: an error of the disk is final and said once.
func TestCommitErrorIsFinal(t *testing.T) {
	o := held(t.TempDir())
	failed := make(chan error, 2)
	o.OnFail = func(err error) { failed <- err }
	m := newMember(t, o)
	if err := m.disk.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(t.Context()); err == nil {
		t.Error("Flush() = nil, want an error")
	}
	if err := <-failed; err == nil {
		t.Error("OnFail(nil)")
	}
	if _, err := m.Apply([]Committed{{Index: 9}}); err == nil {
		t.Error("Apply() = nil after the failure")
	}
	if m.ReadOnly() {
		t.Error("ReadOnly() = true: a failed store does not come back")
	}
	_ = m.Close()
	if len(failed) != 0 {
		t.Error("OnFail was called twice")
	}
}

func TestIsFull(t *testing.T) {
	write := func(err error) error { return fmt.Errorf("commit: %w", &fs.PathError{Op: "write", Err: err}) }
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"no space to write":   {write(syscall.ENOSPC), true},
		"quota":               {write(syscall.EDQUOT), true},
		"i/o error":           {write(syscall.EIO), false},
		"no space at a sync":  {syscall.ENOSPC, false}, // nobody knows what is on disk
		"something else":      {errors.New("x"), false},
		"no error whatsoever": {nil, false},
	} {
		if got := isFull(tt.err); got != tt.want {
			t.Errorf("isFull(%s) = %v, want %v", name, got, tt.want)
		}
	}
}

// REL-04: a full disk loses nothing, is reported, and heals without a restart.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := dir + "/filler"
	o := held(dir + "/data")
	o.OnFail = func(err error) { t.Errorf("OnFail(%v)", err) }
	m := newMember(t, o)
	m.flush(t)
	if err := os.WriteFile(filler, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x", 100<<10)
	for i := range 8 {
		m.must(t, put("cold", fmt.Sprint(i), value), put("hot", fmt.Sprint(i), "v"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan error, 1)
	go func() { flushed <- m.Flush(ctx) }()
	for !m.ReadOnly() {
		select {
		case err := <-flushed:
			t.Fatalf("Flush() = %v on a full disk", err)
		case <-time.After(time.Millisecond):
		}
	}
	m.must(t, put("cold", "more", "v")) // what is in the log can still be applied
	if rows := m.dump(t, "cold"); len(rows) != 9 {
		t.Errorf("%d cold rows on a full disk, want 9", len(rows))
	}
	if err := errors.Join(os.Remove(filler), syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=64m")); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err != nil {
		t.Errorf("Flush() = %v with space again", err)
	}
	m.flush(t)
	if m.ReadOnly() {
		t.Error("ReadOnly() = true with space again")
	}
	cancel()
	_ = m.Close()
	n := openMember(t, o)
	if rows := n.dump(t, "cold"); len(rows) != 9 {
		t.Errorf("%d cold rows after reopening, want 9", len(rows))
	}
}

// A store that closes while the disk is full gives up: the log has it all.
func TestCloseOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	m := newMember(t, held(dir+"/data"))
	m.must(t, put("cold", "a", strings.Repeat("x", 1<<20)))
	if err := m.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if m.Persisted() != 0 || !m.ReadOnly() {
		t.Errorf("Persisted() = %d, ReadOnly() = %v, want 0, true", m.Persisted(), m.ReadOnly())
	}
}

func TestLevel(t *testing.T) {
	var l level
	done := make(chan error, 3)
	wait := func(want uint64) {
		go func() { done <- l.wait(t.Context(), want) }()
		for waiting := 0; waiting == 0; {
			l.mu.Lock()
			waiting = len(l.waiting)
			l.mu.Unlock()
		}
	}
	wait(5)
	l.raise(4)
	if len(done) != 0 {
		t.Error("wait(5) is over at 4")
	}
	l.raise(5)
	if err := <-done; err != nil {
		t.Errorf("wait(5) = %v at 5", err)
	}
	l.raise(3) // never falls
	if err := l.wait(t.Context(), 5); err != nil {
		t.Errorf("wait(5) = %v after raise(3)", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.wait(ctx, 6); !errors.Is(err, context.Canceled) || len(l.waiting) != 0 {
		t.Errorf("wait(6) = %v with %d left, want %v", err, len(l.waiting), context.Canceled)
	}
	wait(6)
	l.fail(kv.ErrClosed)
	l.fail(errors.New("second"))
	if err := <-done; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("wait(6) = %v, want %v", err, kv.ErrClosed)
	}
	if err := l.wait(t.Context(), 7); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("wait(7) = %v, want %v", err, kv.ErrClosed)
	}
	if err := l.wait(t.Context(), 5); err != nil {
		t.Errorf("wait(5) = %v: it was reached before", err)
	}
}
