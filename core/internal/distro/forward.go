package distro

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// ephemeral is the registry as one plugin writes it, wherever the publishers are
// (CTR-R06). A member that does not answer is no reason to refuse a client: what
// it sent is then kept here, with a higher stamp, until somebody takes it over.
type ephemeral struct {
	engine *Engine
	owner  string
	local  registry.Ephemeral
}

var _ registry.Ephemeral = (*ephemeral)(nil)

// Ephemeral returns the writing side for one plugin.
func (e *Engine) Ephemeral(owner string) registry.Ephemeral {
	return &ephemeral{engine: e, owner: owner, local: e.o.Catalog.Ephemeral(owner)}
}

// home is the member that a write is for; 0: this one.
func (w *ephemeral) home(k registry.PublisherKey) (to uint64, known bool) {
	rt := w.engine.state.routes.Load()
	if rt == nil {
		return 0, false
	}
	k.Owner = w.owner
	self := w.engine.o.Member
	h, known := w.engine.o.Catalog.Home(k)
	switch {
	case known && h.Member == self:
		return 0, true
	case known && !h.Free && !h.Stale:
		return h.Member, true
	}
	if to = choose(hashKey(&k), rt.ring); to == self {
		return 0, known
	}
	return to, known
}

// Open implements registry.Ephemeral.
func (w *ephemeral) Open(ctx context.Context, p registry.Publisher) error {
	to := uint64(0)
	if p.Member == 0 {
		to, _ = w.home(p.Key)
	}
	if to == 0 {
		return w.local.Open(ctx, p)
	}
	if err := errors.Join(catalog.Claim(w.owner, &p.Key), catalog.CheckInfo(&p)); err != nil {
		return fmt.Errorf("open publisher: %w", err)
	}
	if w.engine.o.Catalog.IsRow(p.Key) {
		return w.local.Open(ctx, p) // which is refused
	}
	call := &peerv1.DistroCall{Kind: peerv1.DistroCall_KIND_OPEN, Key: keyOut(&p.Key), Publisher: catalog.EncodePublisher(&p)}
	_, err := w.engine.forward(ctx, to, call)
	if errors.Is(err, errUnreached) || errors.Is(err, kv.ErrConflict) {
		defer w.engine.state.stampAll(time.Now()) // so that it is where it belongs
		return w.local.Open(ctx, p)               // the other may not have heard yet that a row is gone
	}
	return err
}

// Publish implements registry.Ephemeral. One that is not known here is opened
// before, so it is not looked for elsewhere.
func (w *ephemeral) Publish(ctx context.Context, k registry.PublisherKey, mode registry.Mode, rs []registry.Registration) error {
	here := func() error { return w.local.Publish(ctx, k, mode, rs) }
	to, known := w.home(k)
	if to == 0 || !known {
		return w.settle(k, here)
	}
	if err := w.checkPublish(&k, rs); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	call := &peerv1.DistroCall{Kind: peerv1.DistroCall_KIND_PUBLISH, Key: keyOut(&k), Mode: uint32(mode)}
	for i := range rs {
		call.Instances = append(call.Instances, instanceOut(&rs[i]))
	}
	_, err := w.engine.forward(ctx, to, call)
	if errors.Is(err, errUnreached) {
		return w.takeOver(k, here)
	}
	return err
}

// checkPublish finds what the other member would refuse, before it is encoded.
func (w *ephemeral) checkPublish(k *registry.PublisherKey, rs []registry.Registration) error {
	if err := catalog.Claim(w.owner, k); err != nil {
		return err
	}
	if len(rs) > registry.MaxPublish {
		return fmt.Errorf("%d registrations: %w", len(rs), kv.ErrTooLarge)
	}
	for i := range rs {
		r := rs[i]
		if err := catalog.CheckInstance(&r); err != nil {
			return fmt.Errorf("registration %d: %w", i, err)
		}
	}
	return nil
}

// Withdraw implements registry.Ephemeral.
func (w *ephemeral) Withdraw(ctx context.Context, k registry.PublisherKey, ks []registry.InstanceKey) error {
	here := func() error { return w.local.Withdraw(ctx, k, ks) }
	to, _ := w.home(k)
	if to == 0 {
		return w.settle(k, here)
	}
	if err := catalog.Claim(w.owner, &k); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	if len(ks) > registry.MaxPublish {
		return fmt.Errorf("withdraw: %d instances: %w", len(ks), kv.ErrTooLarge)
	}
	call := &peerv1.DistroCall{Kind: peerv1.DistroCall_KIND_WITHDRAW, Key: keyOut(&k)}
	for i := range ks {
		call.Names = append(call.Names, nameOut(&ks[i]))
	}
	_, err := w.engine.forward(ctx, to, call)
	if errors.Is(err, errUnreached) {
		return w.takeOver(k, here)
	}
	return err
}

// settle writes to a publisher that should be here. It may just have moved: then
// it is written here in any case.
func (w *ephemeral) settle(k registry.PublisherKey, write func() error) error {
	err := write()
	if errors.Is(err, catalog.ErrElsewhere) {
		return w.takeOver(k, write)
	}
	return err
}

// takeOver writes here to a publisher without a connection, whoever has it. One
// with a connection is as good as closed: its client speaks to this member now,
// and has to open it.
func (w *ephemeral) takeOver(k registry.PublisherKey, write func() error) error {
	k.Owner = w.owner
	defer w.engine.state.stampAll(time.Now())
	for range maxMoves {
		h, known := w.engine.o.Catalog.Home(k)
		if !known || h.Member != w.engine.o.Member && !h.Free {
			return fmt.Errorf("publisher %s: %w", k.Scope, kv.ErrNotFound)
		}
		w.engine.o.Catalog.TakeOver(k)
		if err := write(); !errors.Is(err, catalog.ErrElsewhere) {
			return err
		}
	}
	return fmt.Errorf("publisher %s: it moves: %w", k.Scope, kv.ErrOverloaded)
}

// maxMoves is how often a write follows a publisher that moves.
const maxMoves = 8

// Close implements registry.Ephemeral. A connection that ends here says nothing
// about a publisher that is elsewhere by now.
func (w *ephemeral) Close(ctx context.Context, ks []registry.PublisherKey) error {
	if w.engine.state.routes.Load() == nil || len(ks) > registry.MaxClose {
		return w.local.Close(ctx, ks)
	}
	var here []registry.PublisherKey
	for _, k := range ks {
		if err := catalog.Claim(w.owner, &k); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		h, known := w.engine.o.Catalog.Home(k)
		switch to, _ := w.home(k); {
		case !known:
		case to == 0:
			here = append(here, k)
		case !h.Free:
		default:
			_, err := w.engine.forward(ctx, to, &peerv1.DistroCall{Kind: peerv1.DistroCall_KIND_CLOSE, Key: keyOut(&k)})
			if errors.Is(err, errUnreached) {
				w.engine.o.Catalog.TakeOver(k)
				here = append(here, k)
				continue
			}
			if err != nil {
				return err
			}
		}
	}
	return w.local.Close(ctx, here)
}

// Publishers implements registry.Ephemeral.
func (w *ephemeral) Publishers(ctx context.Context, from string, limit int) ([]*registry.Publisher, error) {
	return w.local.Publishers(ctx, from, limit)
}
