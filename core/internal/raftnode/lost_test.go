package raftnode

import (
	"errors"
	"testing"
)

// A command that was lost waits under the same id when it is proposed anew: what
// is still known of the first attempt must not answer the second, or it would be
// proposed a third time beside it.
func TestAttemptsApart(t *testing.T) {
	var w waiters
	first := &proposal{id: 1, waiter: newWaiter()}
	w.add(1, first.waiter)
	first.waiter.term.Store(4)
	w.failTerms(5, errLost)
	if a := <-first.waiter.answer; !errors.Is(a.err, errLost) {
		t.Fatalf("answer = %v, want %v", a.err, errLost)
	}
	second := &proposal{waiter: newWaiter()}
	w.add(1, second.waiter)
	w.fail(first, errLost)
	select {
	case a := <-second.waiter.answer:
		t.Errorf("the second attempt was told %v", a.err)
	default:
	}
	second.waiter.term.Store(5)
	w.failTerms(5, errLost)
	if len(w.by) != 1 {
		t.Error("a command of the term itself was taken for lost")
	}
}
