package rpc

import "sync"

// maxIdle is how many goroutines are kept for the next calls: their stacks have
// grown already.
const maxIdle = 256

// workers run handlers, each in a goroutine of its own; those that are done wait
// for the next one.
type workers struct {
	group *sync.WaitGroup

	mu    sync.Mutex // guards what follows
	idle  []*worker  // the last one is taken first
	ended bool
}

type worker struct {
	next chan *stream // capacity 1: it is given to one that waits
}

// run starts the handler of a stream.
func (w *workers) run(s *stream) {
	w.mu.Lock()
	if n := len(w.idle) - 1; n >= 0 {
		one := w.idle[n]
		w.idle[n] = nil
		w.idle = w.idle[:n]
		w.mu.Unlock()
		one.next <- s
		return
	}
	w.mu.Unlock()
	w.group.Go(func() { w.work(s) })
}

func (w *workers) work(s *stream) {
	me := &worker{next: make(chan *stream, 1)}
	for s != nil {
		s.handle()
		if !w.rest(me) {
			return
		}
		s = <-me.next
	}
}

// rest puts a worker among those that wait.
func (w *workers) rest(me *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || len(w.idle) >= maxIdle {
		return false
	}
	w.idle = append(w.idle, me)
	return true
}

// end sends those home that wait; others go when they are done.
func (w *workers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, one := range w.idle {
		close(one.next)
	}
	w.idle = nil
}
