package naming

import (
	"context"
	"errors"
	"fmt"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// Register makes in the one ephemeral instance of a client in a service,
// whatever it had there before (NAC-NAM-21). It returns *Error for what the
// caller did wrong, and core's errors else.
func (s *Service) Register(ctx context.Context, c Client, k registry.ServiceKey, in Instance) error {
	return s.publish(ctx, c, k, []Instance{in}, "register")
}

// RegisterBatch makes ins all that a client has in a service; none of them
// removes all (NAC-NAM-24). Equal addresses collapse to the last one.
func (s *Service) RegisterBatch(ctx context.Context, c Client, k registry.ServiceKey, ins []Instance) error {
	if len(ins) == 0 {
		return s.Deregister(ctx, c, k)
	}
	return s.publish(ctx, c, k, ins, "batch register")
}

func (s *Service) publish(ctx context.Context, c Client, k registry.ServiceKey, ins []Instance, verb string) error {
	for i := range ins {
		if err := ins[i].check(); err != nil {
			return err
		}
	}
	snap, err := s.glance(ctx, k)
	if err != nil {
		return err
	}
	if s.kind(snap) == Persistent {
		return conflict(k, Persistent, verb, Ephemeral)
	}
	rs := s.registrations(c, k, ins, snap)
	defer s.stripes.lock(c).unlock()
	err = s.ephemeral.Publish(ctx, c.publisher(), registry.ReplaceService, rs)
	if errors.Is(err, kv.ErrNotFound) { // its first
		if err = s.open(ctx, c); err == nil {
			err = s.ephemeral.Publish(ctx, c.publisher(), registry.ReplaceService, rs)
		}
	}
	if err != nil {
		return fmt.Errorf("register in %v: %w", k, err)
	}
	return nil
}

// registrations are the instances as core keeps them, one for each address.
func (s *Service) registrations(c Client, k registry.ServiceKey, ins []Instance, snap *registry.Snapshot) []registry.Registration {
	var settings registry.Pairs
	if snap != nil && snap.Service != nil {
		settings = snap.Service.Meta
	}
	rs := make([]registry.Registration, 0, len(ins))
	seen := make(map[string]int, len(ins))
	for i := range ins {
		in := ins[i]
		in.number(c, k)
		r := in.registration(k, c.publisher())
		if c.Beats {
			r.Expiry = s.expiry(in.Metadata, settings)
		}
		if len(ins) > 1 {
			at := r.Subset + "/" + addressOf(r.Host, r.Port)
			if j, again := seen[at]; again {
				rs[j] = r
				continue
			}
			seen[at] = len(rs)
		}
		rs = append(rs, r)
	}
	return rs
}

func (s *Service) expiry(instance, service registry.Pairs) registry.Expiry {
	x := expiry(instance, service)
	if s.silent {
		x.Remove = 0
	}
	return x
}

// open makes the publisher of a client. What connections register lives on this
// member, the rest where core puts it.
func (s *Service) open(ctx context.Context, c Client) error {
	p := registry.Publisher{Key: c.publisher(), Status: registry.Passing}
	if !c.Beats {
		p.Member = s.member
	}
	return s.ephemeral.Open(ctx, p) //nolint:wrapcheck // the caller names what failed
}

// Deregister removes what an ephemeral client has in a service, whatever it is;
// nothing is success (NAC-NAM-22).
func (s *Service) Deregister(ctx context.Context, c Client, k registry.ServiceKey) error {
	p := c.publisher()
	defer s.stripes.lock(c).unlock()
	err := s.ephemeral.Withdraw(ctx, p, []registry.InstanceKey{{Publisher: p, Service: k}})
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err == nil && c.Beats {
		err = s.closeEmpty(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("deregister from %v: %w", k, err)
	}
	return nil
}

// closeEmpty ends a client that nobody else ends when it has nothing left
// (NAC-NAM-53). The client is locked, so that it gets nothing meanwhile.
func (s *Service) closeEmpty(ctx context.Context, c Client) error {
	pub, err := s.catalog.Published(ctx, registry.PublisherKey{Owner: s.owner, Scope: c.ID})
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return nil
	case err != nil:
		return err //nolint:wrapcheck // the caller names what failed
	case len(pub.Instances) > 0:
		return nil
	}
	return s.ephemeral.Close(ctx, []registry.PublisherKey{c.publisher()}) //nolint:wrapcheck // likewise
}

// Leave removes clients with all they registered (NAC-NAM-51).
func (s *Service) Leave(ctx context.Context, cs ...Client) error {
	ps := make([]registry.PublisherKey, 0, min(len(cs), registry.MaxClose))
	for i := range cs {
		ps = append(ps, cs[i].publisher())
		if len(ps) < registry.MaxClose && i < len(cs)-1 {
			continue
		}
		if err := s.ephemeral.Close(ctx, ps); err != nil && !errors.Is(err, kv.ErrNotFound) {
			return fmt.Errorf("close %d clients: %w", len(ps), err)
		}
		ps = ps[:0]
	}
	return nil
}

// RegisterPersistent commits a persistent instance, which replaces the one of
// the same address in the service (NAC-NAM-25).
func (s *Service) RegisterPersistent(ctx context.Context, by auth.Actor, k registry.ServiceKey, in Instance) error {
	if err := in.check(); err != nil {
		return err
	}
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	if s.kind(snap) == Ephemeral {
		return conflict(k, Ephemeral, "register", Persistent)
	}
	p := registry.PublisherKey{Owner: s.owner, Scope: persistentScope(in.IP, in.Port)}
	in.number(Client{ID: p.Scope}, k)
	r := in.registration(k, p)
	return s.commit(ctx, by, k, append(s.drops(snap, p, r.Subset), registry.Op{PutInstance: &r})...)
}

// DeregisterPersistent removes the persistent instance at an address, whatever
// cluster it is in; nothing is success.
func (s *Service) DeregisterPersistent(ctx context.Context, by auth.Actor, k registry.ServiceKey, ip string, port uint16) error {
	snap, err := s.fresh(ctx, k)
	if err != nil {
		return err
	}
	return s.commit(ctx, by, k, s.drops(snap, registry.PublisherKey{Owner: s.owner, Scope: persistentScope(ip, port)}, "")...)
}

// commit makes persistent changes of one service.
func (s *Service) commit(ctx context.Context, by auth.Actor, k registry.ServiceKey, ops ...registry.Op) error {
	if len(ops) == 0 {
		return nil
	}
	if err := txn.Register(ctx, s.committer, by, ops...); err != nil {
		return fmt.Errorf("change %v: %w", k, err)
	}
	s.special.note(k) // it may be; the stream of changes knows better
	return nil
}

// drops removes what a publisher has in a service, but for one cluster.
func (s *Service) drops(snap *registry.Snapshot, p registry.PublisherKey, but string) []registry.Op {
	if snap == nil {
		return nil
	}
	var ops []registry.Op
	for i := range snap.Endpoints {
		if e := &snap.Endpoints[i]; e.Publisher.Key == p && e.Subset != but {
			ops = append(ops, registry.Op{DropInstance: &registry.InstanceKey{
				Publisher: p, Service: snap.Key, Subset: e.Subset, ID: idOf(e.Instance),
			}})
		}
	}
	return ops
}

// idOf is the id of an instance in core.
func idOf(in *registry.Instance) string {
	if in.ID != "" {
		return in.ID
	}
	return addressOf(in.Host, in.Port)
}

func conflict(k registry.ServiceKey, is Kind, verb string, wanted Kind) error {
	return &Error{KindConflict, "errCode: 400, errMsg: Current service " + Grouped(k) + " is " + is.String() +
		" service, can't " + verb + " " + wanted.String() + " instance. "}
}
