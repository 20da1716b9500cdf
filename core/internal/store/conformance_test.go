package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/kvtest"
)

// direct is a node without a log: what is proposed is applied.
type direct struct {
	mu    sync.Mutex // guards index and the right to apply
	index uint64
	store *store.Store
}

func (d *direct) Propose(_ context.Context, t *fsm.Txn) (fsm.Outcome, error) {
	if err := d.store.Validate(t); err != nil {
		return fsm.Outcome{}, err
	}
	return d.apply(&fsm.Command{Txn: t})
}

func (d *direct) Declare(_ context.Context, t *fsm.Declare) error {
	out, err := d.apply(&fsm.Command{Declare: t})
	if err == nil {
		err = out.Err
	}
	return err
}

func (d *direct) Barrier(_ context.Context, c kv.Consistency) (kv.Consistency, error) { return c, nil }

func (d *direct) apply(c *fsm.Command) (fsm.Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.index++
	outs, err := d.store.Apply([]store.Committed{{Index: d.index, Term: 1, Data: fsm.AppendCommand(fsm.AppendHeader(nil), c)}})
	if err != nil || len(outs) != 1 {
		return fsm.Outcome{}, fmt.Errorf("apply: %d outcomes: %w", len(outs), err)
	}
	return outs[0], nil
}

// STY-64: the store under a scope keeps the contract of package kv.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) (kv.Store, kv.Leases) {
		t.Helper()
		s, err := store.Open(store.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		})
		sc, err := scope.Open(t.Context(), "test", kvtest.Tables(), &direct{store: s}, s)
		if err != nil {
			t.Fatal(err)
		}
		return sc, nil
	})
}
