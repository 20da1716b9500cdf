package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// One commit takes what has piled up behind the one before, up to these.
const (
	maxCommitBytes = 64 << 20
	maxCommitOps   = 100_000
)

// The pauses between attempts while the disk is full.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// persist is the persister: it commits what is applied until the store closes or
// fails.
func (s *Store) persist() {
	defer close(s.done)
	timer := time.NewTimer(s.opts.PersistEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.dirty:
			timer.Reset(s.opts.PersistEvery)
			select {
			case <-timer.C:
			case <-s.now:
			case <-s.quit:
			}
		case <-s.now:
		case <-s.quit:
		}
		over := isDone(s.quit) // asked before the commit: nothing is applied after it
		if !s.commitAll() || over {
			return
		}
	}
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// commitAll commits until nothing waits. It returns false when the store is over.
func (s *Store) commitAll() bool {
	retry := firstRetry
	for {
		batches, epoch := s.take()
		if len(batches) == 0 {
			return true
		}
		err := s.commit(batches, epoch)
		switch {
		case err == nil:
			retry = firstRetry
			if s.full.CompareAndSwap(true, false) {
				s.log.Info("disk has space again")
			}
		case errors.Is(err, errSuperseded):
		case isFull(err):
			if s.full.CompareAndSwap(false, true) {
				s.log.Error("disk is full, no writes are taken", zap.Error(err))
			}
			if !s.pause(retry) {
				return false
			}
			retry = min(2*retry, lastRetry)
		default:
			s.fail(fmt.Errorf("persist: %w", err))
			return false
		}
	}
}

// pause returns false when the store closes meanwhile: what is not on disk is
// in the log.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.quit:
		return false
	}
}

// sealIfLarge closes the collecting batch when it is worth a commit. The caller
// holds mu.
func (s *Store) sealIfLarge() {
	b := s.live.active
	if b.bytes >= s.opts.PersistBytes || b.ops >= s.opts.PersistOps {
		s.seal()
		wake(s.now)
	}
}

// seal closes the collecting batch and starts another. The caller holds mu.
func (s *Store) seal() {
	b := s.live.active
	b.cold = s.live.machine.Rotate()
	b.at = s.live.at
	b.at.changed = s.live.machine.Changed()
	s.live.sealed = append(s.live.sealed, b)
	s.live.active = &batch{hot: make([]pending, 0, len(b.hot))} // the next is likely as large
}

// take returns the oldest batches that wait, as many as fit one commit.
func (s *Store) take() (batches []*batch, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live.sealed) == 0 {
		if s.live.at.index <= s.onDisk.Load() {
			return nil, 0
		}
		s.seal()
	}
	n, bytes, ops := 0, int64(0), 0
	for _, b := range s.live.sealed {
		bytes += b.bytes
		ops += b.ops
		if n > 0 && (bytes > maxCommitBytes || ops > maxCommitOps) {
			break
		}
		n++
	}
	return slices.Clone(s.live.sealed[:n]), s.live.epoch
}

// commit writes batches to state.db and lets go of them.
func (s *Store) commit(batches []*batch, epoch uint64) error {
	index := batches[len(batches)-1].at.index
	// gofail: var storeBeforePersist struct{}
	err := s.disk.update(epoch, func(tx *bbolt.Tx) error {
		return write(tx, batches)
	}, func() { s.onDisk.Store(index) })
	if err != nil {
		return err
	}
	// gofail: var storeAfterPersist struct{}
	s.release(batches, epoch)
	s.durable.raise(index)
	return nil
}

// release drops committed batches from memory.
func (s *Store) release(batches []*batch, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live.epoch != epoch {
		return // a snapshot has replaced them all
	}
	s.live.sealed = slices.Clone(s.live.sealed[len(batches):])
	s.publish()
	for _, b := range batches {
		s.lagBytes.Add(-b.bytes)
		s.lagOps.Add(-int64(b.ops))
	}
}

// isFull reports an error that goes away with space on the disk. Only writes
// count: after a failed sync nobody knows what the disk holds (REL-05).
func isFull(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) &&
		(errors.Is(path.Err, syscall.ENOSPC) || errors.Is(path.Err, syscall.EDQUOT))
}
