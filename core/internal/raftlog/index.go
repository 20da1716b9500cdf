package raftlog

import "go.etcd.io/raft/v3/raftpb"

// ref says where an entry is.
type ref struct {
	term uint64
	seq  uint64 // segment
	off  int64  // of the encoded entry
	size uint32 // of the encoded entry
}

// index finds entries by number: where each of them is, and the recent ones
// themselves.
type index struct {
	first uint64 // of refs
	refs  []ref
	// recent are the last entries, at most limit bytes of them.
	recent []*raftpb.Entry
	bytes  int64
	limit  int64
}

func (x *index) last() uint64 { return x.first + uint64(len(x.refs)) - 1 }

func (x *index) ref(i uint64) ref { return x.refs[i-x.first] }

// cached returns a recent entry, or nil.
func (x *index) cached(i uint64) *raftpb.Entry {
	start := x.last() + 1 - uint64(len(x.recent))
	if i < start {
		return nil
	}
	return x.recent[i-start]
}

// append adds entries that follow, or replace the end from their first index.
func (x *index) append(entries []*raftpb.Entry, refs []ref) {
	x.truncate(entries[0].GetIndex())
	x.refs = append(x.refs, refs...)
	x.recent = append(x.recent, entries...)
	for i := range refs {
		x.bytes += int64(refs[i].size)
	}
	x.trim()
}

// truncate drops everything from an index on.
func (x *index) truncate(from uint64) {
	drop := int64(x.last()+1) - int64(from)
	if drop <= 0 {
		return
	}
	keep := len(x.refs) - int(drop)
	for _, r := range x.refs[max(keep, len(x.refs)-len(x.recent)):] {
		x.bytes -= int64(r.size)
	}
	x.recent = x.recent[:max(0, len(x.recent)-int(drop))]
	x.refs = x.refs[:keep]
}

// trim forgets the oldest recent entries above the limit, but not the last one.
func (x *index) trim() {
	n := 0
	oldest := len(x.refs) - len(x.recent)
	for x.bytes > x.limit && n < len(x.recent)-1 {
		x.bytes -= int64(x.refs[oldest+n].size)
		n++
	}
	x.recent = shift(x.recent, n)
}

// dropBefore forgets the entries before an index.
func (x *index) dropBefore(from uint64) {
	if from <= x.first {
		return
	}
	n := min(int(from-x.first), len(x.refs))
	cached := max(0, n-(len(x.refs)-len(x.recent)))
	for _, r := range x.refs[n-cached : n] {
		x.bytes -= int64(r.size)
	}
	x.recent = shift(x.recent, cached)
	x.refs = shift(x.refs, n)
	x.first = from
}

// reset empties the index; first is the next entry's.
func (x *index) reset(first uint64) {
	*x = index{first: first, limit: x.limit}
}

// shift drops the first n elements and what they hold. An array that has become
// far too large is replaced; otherwise append makes a new one at its end.
func shift[T any](s []T, n int) []T {
	clear(s[:n])
	rest := s[n:]
	if cap(rest) > 1024 && len(rest) < cap(rest)/4 {
		return append(make([]T, 0, len(rest)+len(rest)/2+16), rest...)
	}
	return rest
}
