package raftlog

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/raft/v3/raftpb"
)

// The kinds of payload.
const (
	recordHead byte = iota + 1 // first in a segment: format, end of the segment before, hard state, mark
	recordSave                 // hard state and entries of one save
	recordMark                 // everything up to an index is in a snapshot
)

// formatVersion is that of the records.
const formatVersion = 1

// state is the hard state of raft as plain values.
type state struct{ term, vote, commit uint64 }

// mark says that the state up to an index lives elsewhere. When reset is set
// the log starts anew behind it.
type mark struct {
	index, term uint64
	reset       bool
}

var errRecord = errors.New("malformed record")

func appendState(b []byte, s state) []byte {
	b = binary.AppendUvarint(b, s.term)
	b = binary.AppendUvarint(b, s.vote)
	return binary.AppendUvarint(b, s.commit)
}

func appendMark(b []byte, m mark) []byte {
	b = append(b, recordMark)
	b = binary.AppendUvarint(b, m.index)
	b = binary.AppendUvarint(b, m.term)
	if m.reset {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendHead begins a segment; before is the end of the one before it.
func appendHead(b []byte, s state, m mark, before int64) []byte {
	b = append(b, recordHead)
	b = binary.AppendUvarint(b, formatVersion)
	b = binary.AppendUvarint(b, uint64(before))
	b = appendState(b, s)
	b = binary.AppendUvarint(b, m.index)
	return binary.AppendUvarint(b, m.term)
}

// appendSave begins a save; entries follow, see appendEntry.
func appendSave(b []byte, s state, entries []*raftpb.Entry) []byte {
	b = append(b, recordSave)
	b = appendState(b, s)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	if len(entries) > 0 {
		b = binary.AppendUvarint(b, entries[0].GetIndex())
	}
	return b
}

func appendEntry(b []byte, e *raftpb.Entry) []byte {
	b = append(b, byte(e.GetType()))
	b = binary.AppendUvarint(b, e.GetTerm())
	b = binary.AppendUvarint(b, uint64(len(e.GetData())))
	return append(b, e.GetData()...)
}

// reader takes a payload apart; the first error sticks.
type reader struct {
	b   []byte
	off int
	err error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.off:])
	if n <= 0 {
		r.err, r.off = errRecord, len(r.b)
		return 0
	}
	r.off += n
	return v
}

func (r *reader) byte() byte {
	if r.off >= len(r.b) {
		r.err = errRecord
		return 0
	}
	r.off++
	return r.b[r.off-1]
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)-r.off) {
		r.err, r.off = errRecord, len(r.b)
		return nil
	}
	r.off += int(n)
	return r.b[r.off-int(n) : r.off]
}

func (r *reader) state() state {
	return state{term: r.uvarint(), vote: r.uvarint(), commit: r.uvarint()}
}

// entry reads one entry with the given index. Its data shares memory with the
// payload.
func (r *reader) entry(index uint64) *raftpb.Entry {
	kind := raftpb.EntryType(r.byte())
	term := r.uvarint()
	data := r.bytes(r.uvarint())
	if r.err != nil {
		return nil
	}
	e := &raftpb.Entry{Type: kind.Enum(), Term: &term, Index: &index}
	if len(data) > 0 {
		e.Data = data
	}
	return e
}
