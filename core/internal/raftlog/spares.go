package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"
)

// spares prepares files for the segments to come, so that starting one costs a
// rename. It owns one goroutine, from start to close.
type spares struct {
	dir    string
	size   int64
	logger *zap.Logger
	ready  chan spare    // capacity 1: one file ahead
	wanted chan struct{} // capacity 1: a hint that ready is empty
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	mu   sync.Mutex // guards next
	next int
}

type spare struct {
	file *os.File
	size int64
}

func startSpares(dir string, size int64, logger *zap.Logger) *spares {
	s := &spares{
		dir: dir, size: size, logger: logger,
		ready:  make(chan spare, 1),
		wanted: make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go s.run()
	return s
}

// want asks for a file, unless one is there.
func (s *spares) want() {
	if len(s.ready) > 0 {
		return
	}
	select {
	case s.wanted <- struct{}{}:
	default: // asked for already
	}
}

func (s *spares) run() {
	defer close(s.done)
	for {
		select {
		case <-s.stop:
			return
		case <-s.wanted:
		}
		if len(s.ready) > 0 {
			continue // a cut segment came back meanwhile
		}
		f, err := s.make(s.size)
		if err != nil {
			// The writer will try by itself when it needs the file, and report.
			s.logger.Debug("next segment not prepared", zap.Error(err))
			continue
		}
		if !s.offer(spare{f, s.size}) {
			s.discard(f)
		}
	}
}

func (s *spares) offer(x spare) bool {
	select {
	case s.ready <- x:
		return true
	default:
		return false
	}
}

// take returns a file of at least size bytes, durable in size, and its size.
func (s *spares) take(size int64) (*os.File, int64, error) {
	if size <= s.size {
		select {
		case x := <-s.ready:
			return x.file, x.size, nil
		default:
		}
	}
	f, err := s.make(size)
	return f, size, err
}

// chunk is how much is filled between two syncs, so that filling does not hold
// up the syncs of the log for longer than a moment.
const chunk = 256 << 10

// make creates a file of zeros.
func (s *spares) make(size int64) (*os.File, error) {
	s.mu.Lock()
	s.next++
	path := filepath.Join(s.dir, fmt.Sprintf("%d%s", s.next, spareSuffix))
	s.mu.Unlock()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("prepare segment: %w", err)
	}
	zeros := make([]byte, min(chunk, size))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		select {
		case <-s.stop:
			s.discard(f)
			return nil, ErrClosed
		default:
		}
		if _, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err == nil {
			err = fdatasync(f)
		}
		if err != nil {
			s.discard(f)
			return nil, fmt.Errorf("prepare segment: %w", err)
		}
	}
	return f, nil
}

// recycle keeps the file of a segment that was cut, if one is wanted.
func (s *spares) recycle(seg *segment) error {
	s.mu.Lock()
	s.next++
	path := filepath.Join(s.dir, fmt.Sprintf("%d%s", s.next, spareSuffix))
	s.mu.Unlock()
	if seg.size != s.size || len(s.ready) > 0 {
		return errors.Join(os.Remove(seg.path), seg.file.Close())
	}
	if err := os.Rename(seg.path, path); err != nil {
		return errors.Join(err, seg.file.Close())
	}
	// A File keeps the name it was opened with, so open it again.
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err := errors.Join(err, seg.file.Close()); err != nil {
		return err
	}
	if !s.offer(spare{f, seg.size}) {
		s.discard(f)
	}
	return nil
}

func (s *spares) discard(f *os.File) { _ = errors.Join(os.Remove(f.Name()), f.Close()) }

// close ends the goroutine and removes the file that was prepared.
func (s *spares) close() {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	select {
	case x := <-s.ready:
		s.discard(x.file)
	default:
	}
}
