package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Open reads and verifies every frame of every segment in dir, creating the
// directory when it is absent. It returns *CorruptError when something durable
// is damaged and *FormatError when a newer build wrote it; then nothing has
// been changed.
func Open(dir string, o Options) (*Log, error) {
	o.fill()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{options: o, dir: dir, index: index{first: 1, limit: o.CacheBytes}}
	if err := l.recover(); err != nil {
		for _, s := range l.segments {
			_ = s.file.Close()
		}
		return nil, fmt.Errorf("open log: %w", err)
	}
	l.spares = startSpares(dir, o.SegmentSize, o.Logger)
	if err := l.settle(); err != nil {
		l.spares.close()
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// settle makes durable what was found. A process that was killed leaves frames
// that only the operating system has; from here on other members, and the frames
// behind them, rely on them.
func (l *Log) settle() error {
	if len(l.segments) == 0 {
		_, err := l.roll(0)
		return err
	}
	return l.sync(l.segments[len(l.segments)-1])
}

// recover replays the segments in order.
func (l *Log) recover() error {
	seqs, err := l.list()
	if err != nil {
		return err
	}
	for i, seq := range seqs {
		if i > 0 && seq != seqs[i-1]+1 {
			return &CorruptError{Path: filepath.Join(l.dir, segmentName(seqs[i-1]+1)), Reason: "segment is missing"}
		}
		if err := l.replay(seq, i == 0, i == len(seqs)-1); err != nil {
			return err
		}
	}
	if l.index.first > l.mark.index+1 {
		return &CorruptError{Path: l.dir, Reason: fmt.Sprintf("entries %d to %d are missing", l.mark.index+1, l.index.first-1)}
	}
	l.index.dropBefore(l.mark.index + 1)
	return nil
}

// list returns the numbers of the segments and removes spare files.
func (l *Log) list() ([]uint64, error) {
	return l.segmentsIn(func(name string) error {
		if !strings.HasSuffix(name, spareSuffix) {
			return nil
		}
		return os.Remove(filepath.Join(l.dir, name))
	})
}

// replay reads one segment. In the last one the end may be torn.
func (l *Log) replay(seq uint64, first, last bool) error {
	path := filepath.Join(l.dir, segmentName(seq))
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	s := &segment{seq: seq, path: path, file: f}
	l.segments = append(l.segments, s)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.size = int64(len(b))
	for {
		fr, ok := readFrame(b, seq, s.end)
		if !ok {
			break
		}
		if err := l.take(s, fr.payload, first && s.end == 0); err != nil {
			return err
		}
		s.end = fr.next
	}
	return l.finish(s, b, last)
}

// finish judges what stands behind the last whole frame of a segment. Only the
// last one may end in something torn.
func (l *Log) finish(s *segment, b []byte, last bool) error {
	behind := scan(b, s.seq, s.end)
	if behind.proof >= 0 {
		return &CorruptError{Path: s.path, Offset: s.end, Reason: fmt.Sprintf("the frame at %d says that this place was durable", behind.proof)}
	}
	if !last {
		s.durable = s.end // it was synced before the next one began
		return nil        // whose head knows where this one ended
	}
	if behind.whole || s.end+frameHeader <= s.size && binary.LittleEndian.Uint32(b[s.end:]) == frameMagic && s.end > 0 {
		l.options.Logger.Warn("end of the log dropped: torn, or left from a former use; it was never acknowledged",
			zap.String("file", s.path), zap.Int64("offset", s.end))
	}
	if behind.whole {
		// A whole frame behind the end must not come back behind a shorter one.
		if err := wipe(s); err != nil {
			return err
		}
	}
	if s.end == 0 {
		return l.restart(s)
	}
	return nil
}

// wipe writes zeros from the end of the frames to the end of the file.
func wipe(s *segment) error {
	zeros := make([]byte, chunk)
	for off := s.end; off < s.size; off += chunk {
		if _, err := s.file.WriteAt(zeros[:min(chunk, s.size-off)], off); err != nil {
			return err
		}
	}
	return fdatasync(s.file)
}

// restart writes the head of a segment that was named but never written.
func (l *Log) restart(s *segment) error {
	n := len(l.segments)
	if n == 1 && s.seq != 1 {
		return &CorruptError{Path: s.path, Reason: "the first segment has no head"}
	}
	before := int64(0)
	if n > 1 {
		before = l.segments[n-2].end
	}
	head := sealFrame(appendHead(make([]byte, frameHeader, 128), l.state, l.mark, before), s.seq, 0, 0)
	if int64(len(head)) > s.size {
		return &CorruptError{Path: s.path, Reason: "the file is too short"}
	}
	if _, err := s.file.WriteAt(head, 0); err != nil {
		return err
	}
	s.end = int64(len(head))
	return s.sync()
}

// take applies one record.
func (l *Log) take(s *segment, payload []byte, first bool) error {
	r := reader{b: payload}
	kind := r.byte()
	if (kind == recordHead) != (s.end == 0) {
		return &CorruptError{Path: s.path, Offset: s.end, Reason: "head out of place"}
	}
	switch kind {
	case recordHead:
		if err := l.takeHead(s, &r, first); err != nil && r.err == nil {
			return err
		}
	case recordSave:
		l.takeSave(s, &r)
	case recordMark:
		m := mark{index: r.uvarint(), term: r.uvarint(), reset: r.byte() == 1}
		if r.err == nil {
			l.applyMark(m)
		}
	default:
		r.err = errRecord
	}
	if r.err != nil {
		return &CorruptError{Path: s.path, Offset: s.end, Reason: r.err.Error()}
	}
	return nil
}

func (l *Log) takeHead(s *segment, r *reader, first bool) error {
	if v := r.uvarint(); v > formatVersion {
		return &FormatError{Path: s.path, Found: v, Known: formatVersion}
	}
	before := int64(r.uvarint())
	st, m := r.state(), mark{index: r.uvarint(), term: r.uvarint()}
	if first && r.err == nil {
		l.state, l.mark = st, m
		l.index.first = m.index + 1
	}
	if first || r.err != nil {
		return r.err
	}
	if old := l.segments[len(l.segments)-2]; old.end != before {
		return &CorruptError{Path: old.path, Offset: old.end, Reason: fmt.Sprintf("the next segment says that this one ends at %d", before)}
	}
	return nil
}

func (l *Log) takeSave(s *segment, r *reader) {
	st := r.state()
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errRecord
		return
	}
	var start uint64
	if n > 0 {
		start = r.uvarint()
	}
	entries, refs := make([]*raftpb.Entry, 0, n), make([]ref, 0, n)
	for i := range n {
		off := r.off
		e := r.entry(start + i)
		if e == nil {
			return
		}
		e.Data = slices.Clone(e.GetData()) // the segment's bytes are not kept
		entries = append(entries, e)
		refs = append(refs, ref{term: e.GetTerm(), seq: s.seq, off: s.end + frameHeader + int64(off), size: uint32(r.off - off)})
	}
	l.state = st
	switch {
	case n == 0:
	case start > l.index.last()+1 && len(l.index.refs) == 0:
		l.index.reset(start) // the head was cut; a mark must follow
		l.index.append(entries, refs)
	case start > l.index.last()+1 || start < l.index.first:
		r.err = errors.New("entries are not contiguous")
	default:
		l.index.append(entries, refs)
	}
}
