package lock_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/lock"
)

// storage is what a lock guards: it remembers the highest token it was shown.
type storage struct{ fence uint64 }

func (s *storage) write(token uint64, what string) {
	if token < s.fence {
		fmt.Println("refused:", what)
		return
	}
	s.fence = token
	fmt.Println("written:", what)
}

// One worker at a time does a job. The token keeps one that was away for too long
// from doing harm: a lock alone cannot.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "batata")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	node, err := core.Start(ctx, core.Config{DataDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close() }()

	var s storage
	locks := node.Locks()
	job := lock.Request{Space: "jobs", Name: "nightly", TTL: 50 * time.Millisecond}
	first, _, err := locks.Acquire(ctx, job)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.write(first.Token, "the first half")

	// The first worker hangs for longer than its time; another one has queued.
	job.Wait = time.Minute
	second, ok, err := locks.Acquire(ctx, job)
	if err != nil || !ok {
		fmt.Println("not acquired:", err)
		return
	}
	s.write(second.Token, "the whole")
	s.write(first.Token, "the second half")

	ok, err = locks.Extend(ctx, first, time.Minute)
	fmt.Println("still held:", ok, err)
	ok, err = locks.Release(ctx, second)
	fmt.Println("released:", ok, err)
	// Output:
	// written: the first half
	// written: the whole
	// refused: the second half
	// still held: false <nil>
	// released: true <nil>
}
