package fanout

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run plays changes at moments, in milliseconds, and returns when they are
// pushed. The last change is always pushed (NAC-SET-08).
func (w *window) run(fixed time.Duration, changes []int) (pushes []int) {
	base := time.Unix(1000, 0)
	due := time.Time{}
	push := func(until time.Time) {
		if !due.IsZero() && !due.After(until) {
			w.pushed(due)
			pushes = append(pushes, int(due.Sub(base).Milliseconds()))
			due = time.Time{}
		}
	}
	for _, ms := range changes {
		now := base.Add(time.Duration(ms) * time.Millisecond)
		push(now)
		if due.IsZero() {
			due = w.due(now, fixed)
		}
	}
	push(base.Add(time.Hour))
	return pushes
}

// every is a change at each step of so many milliseconds.
func every(step, until int) []int {
	var out []int
	for ms := 0; ms <= until; ms += step {
		out = append(out, ms)
	}
	return out
}

// ENG-11, GOAL-11: a change after a quiet time is pushed at once, changes in a row
// are merged for 50 to 500 ms, and the last one is always pushed; a delay that is
// set holds for all (NAC-SET-08).
func TestWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		fixed   time.Duration
		changes []int
		want    []int
	}{
		"one":                    {0, []int{0}, []int{0}},
		"two in a row":           {0, []int{0, 1}, []int{0, 50}},
		"three in a row":         {0, []int{0, 1, 2}, []int{0, 50}},
		"slow ones are not held": {0, []int{0, 600, 1200}, []int{0, 600, 1200}},
		"churn":                  {0, every(10, 3000), []int{0, 50, 150, 350, 750, 1250, 1750, 2250, 2750, 3250}},
		"calm again":             {0, append(every(10, 400), 2000, 2001), []int{0, 50, 150, 350, 750, 2000, 2050}},
		"a late second":          {0, []int{0, 300}, []int{0, 300}},
		"fixed":                  {500 * time.Millisecond, []int{0, 10, 499, 500, 2000}, []int{500, 1000, 2500}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := new(window).run(tt.fixed, tt.changes); !slices.Equal(got, tt.want) {
				t.Errorf("pushed at %v, want %v", got, tt.want)
			}
		})
	}
}
