package backup

import (
	"context"
	"fmt"
	"io"

	"github.com/easynet-cn/batata/core/internal/store"
)

// Backup is one that is being taken, pulled by one goroutine.
type Backup struct {
	Header
	snapshot *store.Snapshot
	pieces   *store.Pieces
	front    []byte // encoded header; nil once it was handed out
}

// New takes over a pinned state; Close lets it go. h needs what a snapshot does
// not know of itself.
func New(s *store.Snapshot, h Header) (*Backup, error) {
	m := s.Meta()
	h.Index, h.Term, h.Revision = m.Index, m.Term, uint64(m.Revision)
	front, err := h.Append(nil)
	if err != nil {
		return nil, err
	}
	return &Backup{Header: h, snapshot: s, pieces: s.Pieces(), front: front}, nil
}

// Next returns more of the backup, io.EOF at its end. The bytes are valid until
// the next call.
func (b *Backup) Next(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	if front := b.front; front != nil {
		b.front = nil
		return front, nil
	}
	return b.pieces.Next()
}

// Close unpins the state. It is idempotent.
func (b *Backup) Close() error { return b.snapshot.Close() }

// Check reads a backup to its end and says whether every byte is as it was
// written.
func Check(r io.Reader) (Header, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return h, fmt.Errorf("check backup: %w", err)
	}
	if err := store.CheckSnapshot(r); err != nil {
		return h, fmt.Errorf("check backup: %w", err)
	}
	return h, ended(r)
}

// ended wants nothing behind the end.
func ended(r io.Reader) error {
	var b [1]byte
	if n, _ := io.ReadFull(r, b[:]); n > 0 {
		return fmt.Errorf("%w: it goes on behind its end", ErrDamaged)
	}
	return nil
}
