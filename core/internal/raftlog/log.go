package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Options configure Open; zero values mean the default named beside each.
type Options struct {
	SegmentSize int64 // bytes of a segment: 64 MiB
	CacheBytes  int64 // bytes of recent entries kept in memory: 16 MiB
	NoSync      bool  // leave flushing to the system: loses acknowledged writes
	Logger      *zap.Logger
	// OnSync, when set, is told how long each sync took.
	OnSync func(time.Duration)
}

func (o *Options) fill() {
	if o.SegmentSize == 0 {
		o.SegmentSize = 64 << 20
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// Log is the open log. Save, Reset, Compact and Close are called by one
// goroutine at a time; the read methods may be called by any.
type Log struct {
	options Options
	dir     string
	spares  *spares

	mu    sync.RWMutex // guards index, state, mark and segments for readers
	index index
	state state
	mark  mark
	// segments are all files in order; the last one is written to.
	segments []*segment

	buf []byte
	err error
}

// HardState returns what was saved last; nil before the first save.
func (l *Log) HardState() *raftpb.HardState {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == (state{}) {
		return nil
	}
	s := l.state
	return &raftpb.HardState{Term: &s.term, Vote: &s.vote, Commit: &s.commit}
}

// FirstIndex is the index of the first entry that Entries can return.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.first, nil
}

// LastIndex is the index of the last entry, or of the mark when there is none.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.last(), nil
}

// Term returns the term of entry i. That of the entry before FirstIndex is kept.
func (l *Log) Term(i uint64) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case i == l.mark.index:
		return l.mark.term, nil
	case i < l.index.first:
		return 0, raft.ErrCompacted
	case i > l.index.last():
		return 0, raft.ErrUnavailable
	}
	return l.index.ref(i).term, nil
}

// Entries returns entries lo up to, not including, hi: at least one, and no more
// than maxSize bytes of data otherwise. The entries are shared and must not be
// changed; the slice is the caller's.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case lo < l.index.first:
		return nil, raft.ErrCompacted
	case hi > l.index.last()+1:
		return nil, raft.ErrUnavailable
	}
	out := make([]*raftpb.Entry, 0, hi-lo)
	var size uint64
	for i := lo; i < hi; i++ {
		r := l.index.ref(i)
		size += uint64(r.size)
		if len(out) > 0 && size > maxSize {
			break
		}
		e := l.index.cached(i)
		if e == nil {
			var err error
			if e, err = l.load(i, r); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// load reads an entry that is no longer cached.
func (l *Log) load(i uint64, r ref) (*raftpb.Entry, error) {
	seg := l.find(r.seq)
	b := make([]byte, r.size)
	if _, err := seg.file.ReadAt(b, r.off); err != nil {
		return nil, fmt.Errorf("read entry %d: %w", i, err)
	}
	rd := reader{b: b}
	e := rd.entry(i)
	if rd.err != nil || e.GetTerm() != r.term {
		return nil, &CorruptError{Path: seg.path, Offset: r.off, Reason: "entry changed since it was verified"}
	}
	return e, nil
}

func (l *Log) find(seq uint64) *segment {
	i, _ := slices.BinarySearchFunc(l.segments, seq, func(s *segment, seq uint64) int { return cmp.Compare(s.seq, seq) })
	return l.segments[i]
}

// Size is the bytes of all segments.
func (l *Log) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var n int64
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Save writes the hard state, when not nil, and the entries as one frame. It
// returns after one sync if there are entries or if term or vote changed; a
// commit index alone is not synced. After a *SpaceError it may be called again;
// after any other error the outcome is open and the log takes nothing more.
func (l *Log) Save(hs *raftpb.HardState, entries []*raftpb.Entry) error {
	if l.err != nil {
		return l.err
	}
	next := l.state
	if hs != nil {
		next = state{term: hs.GetTerm(), vote: hs.GetVote(), commit: hs.GetCommit()}
	}
	if next == l.state && len(entries) == 0 {
		return nil
	}
	if len(entries) > 0 && (entries[0].GetIndex() > l.index.last()+1 || entries[0].GetIndex() < l.index.first) {
		return fmt.Errorf("save entry %d: log holds %d to %d", entries[0].GetIndex(), l.index.first, l.index.last())
	}
	sync := len(entries) > 0 || next.term != l.state.term || next.vote != l.state.vote
	return l.fail(l.save(next, entries, sync))
}

// fail keeps the first error for good, unless nothing was written.
func (l *Log) fail(err error) error {
	var space *SpaceError
	if err != nil && l.err == nil && !errors.As(err, &space) {
		l.err = err
	}
	return err
}

func (l *Log) save(next state, entries []*raftpb.Entry, sync bool) error {
	b := appendSave(l.frame(), next, entries)
	refs := make([]ref, len(entries))
	for i, e := range entries {
		start := len(b)
		b = appendEntry(b, e)
		refs[i] = ref{term: e.GetTerm(), off: int64(start), size: uint32(len(b) - start)}
	}
	seg, off, err := l.write(b)
	if err != nil {
		return err
	}
	if sync {
		if err := l.sync(seg); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = next
	if len(entries) > 0 {
		for i := range refs {
			refs[i].seq, refs[i].off = seg.seq, refs[i].off+off
		}
		l.index.append(entries, refs)
	}
	return nil
}

// frame returns the buffer, with room for the header of a frame.
func (l *Log) frame() []byte {
	if cap(l.buf) < frameHeader {
		l.buf = make([]byte, frameHeader, 4<<10)
	}
	return l.buf[:frameHeader]
}

// maxKeptBuffer is the largest buffer kept for the next save.
const maxKeptBuffer = 4 << 20

// write puts a frame behind the last one, in a new segment if it does not fit.
// b starts with room for the header.
func (l *Log) write(b []byte) (*segment, int64, error) {
	seg := l.segments[len(l.segments)-1]
	size := frameSize(len(b) - frameHeader)
	if seg.end+size > seg.size {
		var err error
		if seg, err = l.roll(size); err != nil {
			return nil, 0, err
		}
	}
	off := seg.end
	b = sealFrame(b, seg.seq, off, uint32(seg.durable))
	if l.buf = b; cap(b) > maxKeptBuffer {
		l.buf = nil
	}
	// gofail: var raftlogBeforeWrite struct{}
	if _, err := seg.file.WriteAt(b, off); err != nil {
		return nil, 0, fmt.Errorf("write log: %w", err)
	}
	// gofail: var raftlogAfterWrite struct{}
	seg.end += size
	if seg.end > seg.size/2 {
		l.spares.want() // before it is needed
	}
	return seg, off, nil
}

func (l *Log) sync(seg *segment) error {
	if l.options.NoSync {
		return nil
	}
	// gofail: var raftlogBeforeSync struct{}
	begin := time.Now()
	if err := seg.sync(); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	// gofail: var raftlogAfterSync struct{}
	if l.options.OnSync != nil {
		l.options.OnSync(time.Since(begin))
	}
	return nil
}

// Reset makes the log start behind a snapshot that was installed: index and
// term are those of its last entry. All entries are dropped.
func (l *Log) Reset(index, term uint64) error {
	if l.err != nil {
		return l.err
	}
	return l.fail(l.putMark(mark{index: index, term: term, reset: true}))
}

// Compact forgets the entries up to and including index, and gives back the
// segments that hold nothing else. An index outside the log is an error.
func (l *Log) Compact(index uint64) error {
	if l.err != nil {
		return l.err
	}
	if index < l.index.first {
		return nil
	}
	if index > l.index.last() {
		return fmt.Errorf("compact to %d: log ends at %d", index, l.index.last())
	}
	if err := l.putMark(mark{index: index, term: l.index.ref(index).term}); err != nil {
		return l.fail(err)
	}
	return l.fail(l.cut())
}

func (l *Log) putMark(m mark) error {
	seg, _, err := l.write(appendMark(l.frame(), m))
	if err != nil {
		return err
	}
	if err := l.sync(seg); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applyMark(m)
	return nil
}

func (l *Log) applyMark(m mark) {
	l.mark = m
	if m.reset {
		l.index.reset(m.index + 1)
		return
	}
	l.index.dropBefore(m.index + 1)
}

// Close syncs what is not yet and closes the files; idempotent.
func (l *Log) Close() error {
	if errors.Is(l.err, ErrClosed) {
		return nil
	}
	var errs []error
	if l.err == nil && len(l.segments) > 0 {
		errs = append(errs, l.sync(l.segments[len(l.segments)-1]))
	}
	l.err = ErrClosed
	l.spares.close()
	for _, s := range l.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
