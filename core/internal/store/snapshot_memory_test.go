package store

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// liveReader looks at what is in use, once in so many bytes.
type liveReader struct {
	io.Reader
	n, next int
	most    uint64
}

func (l *liveReader) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.n += n; l.n >= l.next {
		l.next = l.n + 4<<20
		l.most = max(l.most, inUse())
	}
	return n, err
}

// inUse is the bytes that are reachable now.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// ARC-S10: a state goes from one member to another through the rows of one transaction of bbolt,
// however large it is.
func TestSnapshotMemory(t *testing.T) {
	const size, limit = 64 << 20, 32 << 20
	from, to := newMember(t, held(t.TempDir())), newMember(t, held(t.TempDir()))
	for i := range size >> 20 {
		from.must(t, put("hot", fmt.Sprintf("%04d", i), strings.Repeat("x", 1<<20)))
	}
	p, err := from.OpenSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	r, w := io.Pipe()
	before := inUse()
	sent := make(chan error, 1)
	go func() {
		_, err := p.WriteTo(w)
		_ = w.CloseWithError(err) // never fails
		sent <- err
	}()
	reader := &liveReader{Reader: r}
	rec, err := to.Receive(t.Context(), reader)
	if err != nil {
		t.Fatalf("Receive() = %v", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if reader.n < size {
		t.Errorf("%d bytes were sent, want at least %d", reader.n, size)
	}
	if more := int64(reader.most) - int64(before); more > limit {
		t.Errorf("%d bytes more were in use while %d were sent, want at most %d", more, reader.n, limit)
	} else {
		t.Logf("%d bytes more in use while %d were sent", more, reader.n)
	}
	if err := rec.Discard(); err != nil {
		t.Error(err)
	}
}
