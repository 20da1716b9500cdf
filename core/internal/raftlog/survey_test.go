package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// place is a frame that holds an entry; 0: it holds none.
type place struct {
	path  string
	off   int64
	entry uint64
}

// places lists the frames of a log.
func places(t *testing.T, dir string) (out []place) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		seq, _ := parseSegment(filepath.Base(path))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); ; {
			f, ok := readFrame(b, seq, off)
			if !ok {
				break
			}
			p := place{path: path, off: off}
			r := reader{b: f.payload}
			if r.byte() == recordSave {
				r.state()
				if r.uvarint() > 0 {
					p.entry = r.uvarint()
				}
			}
			out = append(out, p)
			off = f.next
		}
	}
	return out
}

func inspect(t *testing.T, dir string, applied uint64) *Survey {
	t.Helper()
	s, err := Inspect(dir, applied)
	if err != nil {
		t.Fatalf("Inspect() = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// all reads what is behind the applied entry.
func all(t *testing.T, s *Survey) (out []uint64) {
	t.Helper()
	for lo := s.applied + 1; lo <= s.Last(); {
		es, err := s.Entries(lo, 1)
		if err != nil {
			t.Fatalf("Entries(%d) = %v", lo, err)
		}
		for _, e := range es {
			out = append(out, e.GetIndex())
			lo++
		}
	}
	return out
}

// REL-03: wherever one frame is damaged, everything is within reach when state.db
// holds what that frame did, and what was before it otherwise; the log is not
// changed.
func TestInspectDamage(t *testing.T) {
	dir := t.TempDir()
	l, _ := history(t, dir, 60)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	frames := places(t, dir)
	if len(frames) < 63 {
		t.Fatalf("%d frames, want several segments", len(frames))
	}
	for i, p := range frames[:len(frames)-1] {
		damaged := clone(t, dir)
		path := filepath.Join(damaged, filepath.Base(p.path))
		edit(t, path, func(b []byte) []byte { b[p.off+frameHeader] ^= 1; return b })
		_, opened := Open(clone(t, damaged), Options{SegmentSize: testSegment})
		if _, ok := errors.AsType[*CorruptError](opened); !ok {
			t.Fatalf("frame %d: Open() = %v, want a CorruptError", i, opened)
		}
		for _, applied := range []uint64{0, 7, 31, 60} {
			s := inspect(t, damaged, applied)
			if len(s.Damage) == 0 || s.Damage[0].Path != path || s.Damage[0].Offset != p.off {
				t.Fatalf("frame %d: Damage = %v, want %s at %d", i, s.Damage, path, p.off)
			}
			wantLost, wantLast := p.entry > applied, uint64(60)
			if wantLost {
				wantLast = p.entry - 1
			}
			if s.Lost != wantLost || s.Last() != wantLast {
				t.Fatalf("frame %d, entry %d, applied %d: Lost, Last() = %v, %d, want %v, %d",
					i, p.entry, applied, s.Lost, s.Last(), wantLost, wantLast)
			}
			if wantLost && s.Beyond != 60 {
				t.Errorf("frame %d: Beyond = %d, want 60", i, s.Beyond)
			}
			if got := all(t, s); uint64(len(got)) != s.Last()-applied {
				t.Errorf("frame %d, applied %d: entries %v, want up to %d", i, applied, got, s.Last())
			}
		}
	}
}

// Missing segments, an empty directory, and state.db ahead of the log (FLT-03).
func TestInspectMissing(t *testing.T) {
	dir := t.TempDir()
	l, _ := history(t, dir, 60)
	segments := slices.Clone(l.segments)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(segments) < 3 {
		t.Fatalf("%d segments, want three", len(segments))
	}
	first := func(path string) uint64 { // entry of a segment
		for _, p := range places(t, dir) {
			if p.path == path && p.entry > 0 {
				return p.entry
			}
		}
		return 0
	}
	middle := clone(t, dir)
	if err := os.Remove(filepath.Join(middle, filepath.Base(segments[1].path))); err != nil {
		t.Fatal(err)
	}
	from, behind := first(segments[1].path), first(segments[2].path)
	if s := inspect(t, middle, behind-1); s.Lost || s.Last() != 60 || len(s.Damage) != 1 || len(all(t, s)) != int(61-behind) {
		t.Errorf("middle, applied: %+v", s)
	}
	if s := inspect(t, middle, 1); !s.Lost || s.Last() != from-1 || s.Beyond != 60 {
		t.Errorf("middle: %+v, want Last() %d", s, from-1)
	}

	front := clone(t, dir)
	if err := os.Remove(filepath.Join(front, filepath.Base(segments[0].path))); err != nil {
		t.Fatal(err)
	}
	if s := inspect(t, front, from-1); s.Lost || s.Last() != 60 || len(s.Damage) != 1 {
		t.Errorf("front, applied: %+v", s)
	}
	if s := inspect(t, front, from-2); !s.Lost || s.Last() != from-2 || s.Beyond != 60 {
		t.Errorf("front: %+v", s)
	}

	if s := inspect(t, t.TempDir(), 9); !s.Lost || s.Last() != 9 || len(s.Damage) != 1 {
		t.Errorf("empty: %+v", s)
	}
	if s := inspect(t, filepath.Join(t.TempDir(), "none"), 9); !s.Lost || s.Last() != 9 {
		t.Errorf("none: %+v", s)
	}
	if s := inspect(t, dir, 99); !s.Lost || s.Last() != 99 {
		t.Errorf("ahead: %+v", s)
	}
	if s := inspect(t, dir, 42); s.Lost || s.Last() != 60 || len(s.Damage) != 0 {
		t.Errorf("whole: %+v", s)
	}
}

// Entries before a hole that it may have replaced are not taken for true.
func TestInspectReplaced(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	mustSave(t, l, hard(1, 1, 2), entries(1, 5, 1, 50)) // 3 to 5 are not committed
	mustSave(t, l, hard(2, 1, 2), entries(3, 1, 2, 50)) // replaces 3, and is damaged
	mustSave(t, l, hard(2, 1, 3), entries(4, 2, 2, 50)) // goes on behind it
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := places(t, dir)[2]
	edit(t, p.path, func(b []byte) []byte { b[p.off+frameHeader] ^= 1; return b })
	if s := inspect(t, dir, 2); !s.Lost || s.Beyond != 5 {
		t.Errorf("state.db at 2: Lost, Beyond = %v, %d, want true, 5", s.Lost, s.Beyond)
	}
	s := inspect(t, dir, 3)
	es, err := s.Entries(4, 1<<20)
	if s.Lost || s.Last() != 5 || err != nil || len(es) != 2 || es[0].GetTerm() != 2 {
		t.Errorf("state.db at 3: %v, %d, %v, %v, want entries 4 and 5 of term 2", s.Lost, s.Last(), es, err)
	}
}

// What Open takes has no damage, and what it refuses has.
func FuzzInspect(f *testing.F) {
	f.Add(uint(40), byte(1))
	f.Add(uint(4000), byte(0xff))
	f.Fuzz(func(t *testing.T, at uint, by byte) {
		dir := t.TempDir()
		l, _ := history(t, dir, 12)
		segments := slices.Clone(l.segments)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for _, s := range segments {
			if int64(at) >= s.size {
				at -= uint(s.size)
				continue
			}
			edit(t, s.path, func(b []byte) []byte { b[at] ^= by; return b })
			break
		}
		s, err := Inspect(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = all(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		o, err := Open(dir, Options{SegmentSize: testSegment})
		if (err == nil) != (len(s.Damage) == 0) {
			t.Errorf("Open() = %v, Damage = %v", err, s.Damage)
		}
		if err == nil {
			_ = o.Close()
		}
	})
}
