package clustersdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// tally counts what one worker of a load asked for.
type tally struct {
	name string

	mu       sync.Mutex // guards what follows
	done     int        // operations, those that failed too
	failures []failure
	wrong    []string // answers that were not what they must be
	excused  int      // failures that the SDK alone is the cause of
	longest  time.Duration
}

// failure is an operation without an answer, or with one that says so.
type failure struct {
	from, to time.Time
	what     string
}

// note counts one operation. An error is a failure, unless it is errWrong.
func (w *tally) note(begin time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	now := time.Now()
	w.longest = max(w.longest, now.Sub(begin))
	var wrong errWrong
	switch {
	case err == nil:
	case errors.As(err, &wrong):
		w.wrong = append(w.wrong, string(wrong))
	default:
		w.failures = append(w.failures, failure{begin, now, err.Error()})
	}
}

func (w *tally) excuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done, w.excused = w.done+1, w.excused+1
}

func (w *tally) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// errWrong is an answer that is not what it must be: old, empty or another's.
type errWrong string

func (e errWrong) Error() string { return string(e) }

// outage is a time in which a member was down, or on its way.
type outage struct{ from, to time.Time }

// outside are the failures that began and ended while no outage was.
func (w *tally) outside(outages []outage) (out []failure) {
	for _, f := range w.failures {
		if !slices.ContainsFunc(outages, func(o outage) bool { return !f.to.Before(o.from) && !f.from.After(o.to) }) {
			out = append(out, f)
		}
	}
	return out
}

// few are the first of many, for a message.
func few[T any](list []T) []T { return list[:min(len(list), 5)] }

// load is workers that go on until it is stopped.
type load struct {
	tallies []*tally
	cancel  context.CancelFunc
	ctx     context.Context
	wg      sync.WaitGroup
}

func newLoad() *load {
	ctx, cancel := context.WithCancel(context.Background())
	return &load{ctx: ctx, cancel: cancel}
}

// add has somebody call round, with rising numbers, until the end.
func (l *load) add(w *tally, round func(ctx context.Context, n int)) {
	l.tallies = append(l.tallies, w)
	l.wg.Go(func() {
		for n := 1; l.ctx.Err() == nil; n++ {
			round(l.ctx, n)
		}
	})
}

func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// more waits until each of the workers has done so many operations more.
func more(t *testing.T, ws []*tally, n int) {
	t.Helper()
	from := make([]int, len(ws))
	for i, w := range ws {
		from[i] = w.count()
	}
	members.Eventually(t, "the load gets on", func() error {
		for i, w := range ws {
			if got := w.count(); got < from[i]+n {
				return fmt.Errorf("%s has done %d operations, had %d", w.name, got, from[i])
			}
		}
		return nil
	})
}
