package raftlog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
)

// history writes a log of several segments and returns, for each save, where
// the last segment ended afterwards.
func history(t *testing.T, dir string, saves int) (l *Log, ends []int64) {
	t.Helper()
	l = open(t, dir)
	for i := range saves {
		mustSave(t, l, hard(1, 1, uint64(i)), entries(uint64(i)+1, 1, 1, 150))
		ends = append(ends, l.segments[len(l.segments)-1].end)
	}
	return l, ends
}

func lastPath(l *Log) string { return l.segments[len(l.segments)-1].path }

// clone copies the log directory, as a crash leaves it.
func clone(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// REL-03: whatever became of the last write that was never acknowledged, in
// pieces of 512 bytes, everything before it is there and the log goes on.
func TestTornWrite(t *testing.T) {
	dir := t.TempDir()
	l, ends := history(t, dir, 30)
	acked := uint64(30)
	// The write that the crash interrupts: large, so that it has many pieces.
	mustSave(t, l, nil, entries(acked+1, 1, 1, 1400))
	last, end := filepath.Base(lastPath(l)), ends[len(ends)-1]
	if lastPath(l) != l.segments[len(l.segments)-1].path || l.segments[len(l.segments)-1].end <= end {
		t.Fatal("the torn write must be in the same segment: change the sizes of this test")
	}
	const piece = 512
	from, to := end/piece, (l.segments[len(l.segments)-1].end+piece-1)/piece
	for lost := uint64(1); lost < 1<<(to-from); lost++ {
		crashed := clone(t, dir)
		edit(t, filepath.Join(crashed, last), func(b []byte) []byte {
			for i := from; i < to; i++ {
				if lost&(1<<(i-from)) != 0 {
					for at := max(i*piece, end); at < (i+1)*piece; at++ {
						b[at] = 0
					}
				}
			}
			return b
		})
		r := open(t, crashed)
		if got, _ := r.LastIndex(); got != acked {
			t.Fatalf("lost %b: LastIndex() = %d, want %d", lost, got, acked)
		}
		mustSave(t, r, nil, entries(acked+1, 2, 2, 20))
		r = reopen(t, crashed, r)
		if got, _ := r.LastIndex(); got != acked+2 {
			t.Fatalf("lost %b: LastIndex() after going on = %d, want %d", lost, got, acked+2)
		}
		_ = r.Close()
	}
}

// Several saves without a sync may be lost in any order: a whole one behind a
// lost one does not come back, not even behind a shorter one written later.
func TestTornUnsynced(t *testing.T) {
	dir := t.TempDir()
	l, ends := history(t, dir, 3)
	end := ends[2]
	for i := range uint64(6) {
		mustSave(t, l, hard(1, 1, 3+i*1000), nil) // commit alone: not synced
	}
	crashed := clone(t, dir)
	last := filepath.Join(crashed, filepath.Base(lastPath(l)))
	edit(t, last, func(b []byte) []byte { b[end] ^= 1; return b })
	r := open(t, crashed)
	if got := r.HardState().GetCommit(); got != 2 {
		t.Fatalf("commit = %d, want 2 of the last save that was synced", got)
	}
	mustSave(t, r, hard(1, 1, 3), nil)
	r = reopen(t, crashed, r)
	if got := r.HardState().GetCommit(); got != 3 {
		t.Errorf("commit = %d, want 3", got)
	}
}

// REL-03: a flipped byte in what was durable refuses the start, wherever it is,
// except in the very last frame, which nothing behind it vouches for.
func TestFlippedByte(t *testing.T) {
	dir := t.TempDir()
	l, ends := history(t, dir, 40)
	if len(l.segments) < 2 {
		t.Fatal("the history must span segments: change the sizes of this test")
	}
	for _, s := range l.segments {
		limit := s.end
		if s.path == lastPath(l) {
			limit = ends[len(ends)-2]
		}
		for off := int64(0); off < limit; off += 7 {
			crashed := clone(t, dir)
			changed := filepath.Join(crashed, filepath.Base(s.path))
			if padding(t, changed, s.seq, off) {
				continue
			}
			edit(t, changed, func(b []byte) []byte { b[off] ^= 0x40; return b })
			_, err := Open(crashed, Options{SegmentSize: testSegment})
			if _, ok := errors.AsType[*CorruptError](err); !ok {
				t.Fatalf("Open() with byte %d of %s flipped = %v, want *CorruptError", off, filepath.Base(s.path), err)
			}
		}
	}
}

// padding says whether a byte lies between two frames, where nothing counts.
func padding(t *testing.T, path string, seq uint64, off int64) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(0); ; {
		f, ok := readFrame(b, seq, at)
		if !ok {
			return false
		}
		if off < f.next {
			return off >= at+frameHeader+int64(len(f.payload))
		}
		at = f.next
	}
}

// REL-03: a zeroed page, a truncated or a missing segment.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	l, _ := history(t, dir, 60)
	if len(l.segments) < 3 {
		t.Fatal("the history must span three segments")
	}
	middle := filepath.Base(l.segments[1].path)
	tests := map[string]func(dir string){
		"missing segment": func(dir string) {
			if err := os.Remove(filepath.Join(dir, middle)); err != nil {
				t.Fatal(err)
			}
		},
		"missing first": func(dir string) {
			if err := os.Remove(filepath.Join(dir, filepath.Base(l.segments[0].path))); err != nil {
				t.Fatal(err)
			}
		},
		"truncated segment": func(dir string) {
			edit(t, filepath.Join(dir, middle), func(b []byte) []byte { return b[:1000] })
		},
		"empty segment": func(dir string) {
			edit(t, filepath.Join(dir, middle), func([]byte) []byte { return nil })
		},
		"zeroed page": func(dir string) {
			edit(t, filepath.Join(dir, middle), func(b []byte) []byte { copy(b[512:1024], make([]byte, 512)); return b })
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			crashed := clone(t, dir)
			damage(crashed)
			_, err := Open(crashed, Options{SegmentSize: testSegment})
			if _, ok := errors.AsType[*CorruptError](err); !ok {
				t.Errorf("Open() = %v, want *CorruptError", err)
			}
		})
	}
}

// A crash after the next segment was named and before anything was in it.
func TestRollInterrupted(t *testing.T) {
	dir := t.TempDir()
	l, _ := history(t, dir, 30)
	crashed := clone(t, dir)
	next := filepath.Join(crashed, segmentName(l.segments[len(l.segments)-1].seq+1))
	if err := os.WriteFile(next, make([]byte, testSegment), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, crashed)
	mustSave(t, r, nil, entries(31, 1, 1, 20))
	r = reopen(t, crashed, r)
	if got, _ := r.LastIndex(); got != 31 {
		t.Errorf("LastIndex() = %d, want 31", got)
	}
}

func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	l, _ := history(t, dir, 1)
	crashed := clone(t, dir)
	head := appendHead(make([]byte, frameHeader), l.state, l.mark, 0)
	head[frameHeader+1] = formatVersion + 1
	edit(t, filepath.Join(crashed, segmentName(1)), func(b []byte) []byte {
		copy(b, sealFrame(head, 1, 0, 0))
		return b
	})
	var newer *FormatError
	if _, err := Open(crashed, Options{SegmentSize: testSegment}); !errors.As(err, &newer) || newer.Found != formatVersion+1 {
		t.Errorf("Open() = %v, want *FormatError", err)
	}
}

// FUZ-08: no bytes panic, and what is accepted can be written to and read again.
func FuzzOpen(f *testing.F) {
	b := make([]byte, testSegment)
	n := copy(b, sealFrame(appendHead(make([]byte, frameHeader), state{1, 1, 0}, mark{}, 0), 1, 0, 0))
	save := appendSave(make([]byte, frameHeader), state{1, 1, 0}, entries(1, 2, 1, 10))
	for _, e := range entries(1, 2, 1, 10) {
		save = appendEntry(save, e)
	}
	copy(b[n:], sealFrame(save, 1, int64(n), 0))
	f.Add(b, uint16(0), byte(0))
	f.Add(b, uint16(60), byte(7))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		if int(at) < len(b) {
			b[at] ^= flip
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, Options{SegmentSize: testSegment})
		if err != nil {
			return
		}
		defer l.Close()
		last, _ := l.LastIndex()
		first, _ := l.FirstIndex()
		if last >= first {
			if _, err := l.Entries(first, last+1, math.MaxUint64); err != nil {
				t.Errorf("Entries() of an accepted log = %v", err)
			}
		}
		es := entries(last+1, 1, 9, 10)
		if last > 1<<60 {
			return
		}
		if err := l.Save(nil, es); err != nil {
			t.Errorf("Save() to an accepted log = %v", err)
		}
		if got, err := l.Entries(last+1, last+2, 1); err != nil || !proto.Equal(got[0], es[0]) {
			t.Errorf("Entries(%d) = %v, %v, want what was saved", last+1, got, err)
		}
	})
}

// ARC §6.2: what one save costs beside a bare file with one fdatasync.
func BenchmarkSave(b *testing.B) {
	for _, c := range []struct{ n, size int }{{1, 256}, {16, 256}, {64, 256}, {1, 1 << 20}} {
		b.Run(fmt.Sprintf("log/%dx%d", c.n, c.size), func(b *testing.B) {
			l, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			next := uint64(1)
			es := entries(1, c.n, 1, c.size-2)
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range es {
					e.Index = new(next)
					next++
				}
				if err := l.Save(nil, es); err != nil {
					b.Fatal(err)
				}
				if next%4096 == 1 {
					b.StopTimer()
					if err := l.Compact(next - 1); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
		})
		b.Run(fmt.Sprintf("file/%dx%d", c.n, c.size), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "f"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			const size = 64 << 20
			if _, err := f.Write(make([]byte, size)); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			block := make([]byte, c.n*c.size)
			for off := int64(0); b.Loop(); off += int64(len(block)) {
				if off+int64(len(block)) > size {
					off = 0
				}
				if _, err := f.WriteAt(block, off); err != nil {
					b.Fatal(err)
				}
				if err := fdatasync(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
