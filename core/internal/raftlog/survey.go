package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// Survey is a log as far as it can be read, damage included. It changes nothing.
//
// A damaged place is a hole. Frames behind it are as true as those before, since a
// whole frame cannot stand where it does not belong. But what the hole held may
// have replaced entries before it, so reading goes on only where the next entries
// follow what is certain, see follows.
type Survey struct {
	// Damage is every damaged place, in order; none: Open takes the log.
	Damage []*CorruptError
	// Lost says that acknowledged entries may be behind Last, out of reach.
	Lost bool
	// Beyond is the last entry that is seen out of reach; 0: none is.
	Beyond uint64

	applied uint64
	floor   uint64 // while hole: the last entry that is certain
	hole    bool
	gap     bool // the segment before is missing
	bridged bool // entries that state.db holds were left out
	log     *Log
}

// Inspect reads the log in dir, of a member whose state.db has applied the given
// entry. Close the survey. *FormatError: a newer build wrote the log.
func Inspect(dir string, applied uint64) (*Survey, error) {
	o := Options{}
	o.fill()
	s := &Survey{applied: applied, log: &Log{options: o, dir: dir, index: index{first: 1, limit: o.CacheBytes}}}
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("read log: %w", err), s.Close())
	}
	return s, nil
}

// Close closes the files.
func (s *Survey) Close() error {
	var errs []error
	for _, seg := range s.log.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	return errors.Join(errs...)
}

// Last is the last entry within reach, in the log or in state.db.
func (s *Survey) Last() uint64 { return max(s.applied, s.log.index.last()) }

// Mark is the entry behind which the log begins.
func (s *Survey) Mark() uint64 { return s.log.mark.index }

// HardState is what was saved last, within reach.
func (s *Survey) HardState() *raftpb.HardState { return s.log.HardState() }

// Entries returns some of those behind what is applied, from lo on.
func (s *Survey) Entries(lo, maxSize uint64) ([]*raftpb.Entry, error) {
	return s.log.Entries(lo, s.log.index.last()+1, maxSize)
}

func (s *Survey) damaged(path string, off int64, format string, args ...any) {
	s.Damage = append(s.Damage, &CorruptError{Path: path, Offset: off, Reason: fmt.Sprintf(format, args...)})
	if !s.hole {
		s.hole = true
		s.floor = max(s.applied, min(s.log.state.commit, s.log.index.last()), s.log.mark.index)
	}
}

func (s *Survey) read() error {
	seqs, err := s.log.segmentsIn(func(string) error { return nil })
	if errors.Is(err, fs.ErrNotExist) {
		s.damaged(s.log.dir, 0, "there is no log")
		err = nil
	}
	for i, seq := range seqs {
		if i > 0 && seq != seqs[i-1]+1 {
			s.damaged(filepath.Join(s.log.dir, segmentName(seqs[i-1]+1)), 0, "segment is missing")
			s.gap = true
		}
		if err := s.segment(seq, i == 0, i == len(seqs)-1); err != nil {
			return err
		}
	}
	x := &s.log.index
	s.Lost = s.Lost || s.hole
	switch {
	case s.bridged:
	case x.first > s.applied+1: // nothing of it follows the state
		s.damaged(s.log.dir, 0, "entries %d to %d are missing", s.applied+1, x.first-1)
		s.Lost, s.Beyond = true, max(s.Beyond, x.last())
		x.reset(s.applied + 1)
	case x.first > s.log.mark.index+1:
		s.damaged(s.log.dir, 0, "entries %d to %d are missing", s.log.mark.index+1, x.first-1)
	case x.last() < s.applied:
		s.damaged(s.log.dir, 0, "it ends at entry %d, and state.db is at %d", x.last(), s.applied)
		s.Lost = true
	}
	x.dropBefore(s.log.mark.index + 1)
	return err
}

// segment reads one file, over its holes.
func (s *Survey) segment(seq uint64, first, last bool) error {
	path := filepath.Join(s.log.dir, segmentName(seq))
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	seg := &segment{seq: seq, path: path, file: f}
	s.log.segments = append(s.log.segments, seg)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seg.size = int64(len(b))
	for {
		fr, ok := readFrame(b, seq, seg.end)
		if ok {
			if err := s.frame(seg, fr.payload, first); err != nil {
				return err
			}
			seg.end = fr.next
			continue
		}
		behind := scan(b, seq, seg.end)
		if behind.proof < 0 {
			if seg.end == 0 && (!last || first && seq != 1) {
				s.damaged(path, 0, "the segment has no head")
			}
			return nil
		}
		s.damaged(path, seg.end, "the frame at %d says that this place was durable", behind.proof)
		for seg.end += alignment; ; seg.end += alignment {
			if _, ok := readFrame(b, seq, seg.end); ok {
				break
			}
		}
	}
}

// frame takes one whole frame.
func (s *Survey) frame(seg *segment, payload []byte, first bool) error {
	r := reader{b: payload}
	switch kind := r.byte(); {
	case kind == recordHead && seg.end == 0:
		return s.head(seg, &r, first)
	case kind == recordSave:
		s.save(seg, &r)
	case kind == recordMark:
		m := mark{index: r.uvarint(), term: r.uvarint(), reset: r.byte() == 1}
		if r.err == nil && !s.Lost {
			s.marked(m)
		}
	default:
		r.err = errRecord
	}
	if r.err != nil {
		s.damaged(seg.path, seg.end, "%v", r.err)
	}
	return nil
}

func (s *Survey) marked(m mark) {
	if m.reset && m.index <= s.applied {
		s.hole = false // the log begins anew behind what state.db holds
	}
	s.log.applyMark(m)
}

func (s *Survey) head(seg *segment, r *reader, first bool) error {
	l := s.log
	if v := r.uvarint(); v > formatVersion {
		return &FormatError{Path: seg.path, Found: v, Known: formatVersion}
	}
	before := int64(r.uvarint())
	st, m := r.state(), mark{index: r.uvarint(), term: r.uvarint()}
	switch {
	case r.err != nil:
		s.damaged(seg.path, seg.end, "%v", r.err)
	case first:
		l.state, l.mark, l.index.first = st, m, m.index+1
	default:
		if old := l.segments[len(l.segments)-2]; old.end != before && !s.gap {
			s.damaged(old.path, old.end, "the next segment says that this one ends at %d", before)
		}
		s.gap = false
		if s.hole && !s.Lost {
			l.state = st
			if m.index > l.mark.index {
				l.applyMark(m)
			}
		}
	}
	return nil
}

// save takes hard state and entries, if they follow what is certain.
func (s *Survey) save(seg *segment, r *reader) {
	peek := *r
	st, n, start := peek.state(), peek.uvarint(), uint64(0)
	if n > 0 {
		start = peek.uvarint()
	}
	var term uint64
	if n > 0 {
		peek.byte()
		term = peek.uvarint()
	}
	last := s.log.index.last()
	switch {
	case peek.err != nil || n > math.MaxInt32:
		r.err = errRecord
		return
	case s.Lost:
		s.beyond(st, n, start)
		return
	case s.hole && n == 0:
		s.log.state = st
		return
	case s.hole && !s.follows(start, term):
		s.Lost = true
		s.beyond(st, n, start)
		return
	case s.hole:
		s.hole = false
		if start > last+1 {
			s.log.index.reset(start) // state.db holds what is before it
			s.bridged = true
		}
	}
	s.log.takeSave(seg, r)
}

// follows says whether entries from start on, the first of them of a term, go on
// from what is certain: from what is committed or in state.db, or from an entry of
// the same term, which only one leader can have written.
func (s *Survey) follows(start, term uint64) bool {
	x := &s.log.index
	if i := start - 1; i >= x.first && i <= x.last() && x.ref(i).term == term {
		return true
	}
	return start <= s.floor+1 && (start <= x.last()+1 || start <= s.applied+1)
}

func (s *Survey) beyond(st state, n, start uint64) {
	s.Beyond = max(s.Beyond, st.commit)
	if n > 0 {
		s.Beyond = max(s.Beyond, start+n-1)
	}
}

// segmentsIn lists the numbers of the segments; other is told of other files.
func (l *Log) segmentsIn(other func(name string) error) ([]uint64, error) {
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, f := range files {
		if seq, ok := parseSegment(f.Name()); ok {
			seqs = append(seqs, seq)
		} else if err := other(f.Name()); err != nil {
			return nil, err
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}
