package naming

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// Settings are what a Service stands on.
type Settings struct {
	Catalog   registry.Catalog
	Ephemeral registry.Ephemeral
	Store     kv.Store // for the barrier of fresh reads
	Committer txn.Committer
	Logger    *zap.Logger // nil: none

	Owner  string // the plugin, as core names it in what it registered
	Member uint64 // this one, which owns what connections register

	Hosts memo.ID // of the list of a snapshot

	KeepSilent bool             // instances without beats stay, unhealthy (NAC-H1N-26)
	Now        func() time.Time // nil: time.Now
}

// Service registers and reads by the rules of Nacos. All methods are safe for
// concurrent use, but for OnChange, OnReset and Source, which belong before Run.
type Service struct {
	catalog   registry.Catalog
	ephemeral registry.Ephemeral
	store     kv.Store
	committer txn.Committer
	log       *zap.Logger
	owner     string
	member    uint64
	hosts     memo.ID
	silent    bool
	now       func() time.Time
	special   special
	stripes   stripes
	index     index
	listeners []listener
	sources   []Source
}

// New builds a Service; it starts nothing.
func New(s Settings) *Service {
	out := &Service{
		catalog: s.Catalog, ephemeral: s.Ephemeral, store: s.Store, committer: s.Committer, log: s.Logger,
		owner: s.Owner, member: s.Member, hosts: s.Hosts, silent: s.KeepSilent, now: s.Now,
	}
	if out.log == nil {
		out.log = zap.NewNop()
	}
	if out.now == nil {
		out.now = time.Now
	}
	return out
}

// snapshot returns a service as it is now on this member, nil when it does not
// exist.
func (s *Service) snapshot(ctx context.Context, k registry.ServiceKey) (*registry.Snapshot, error) {
	snap, err := s.catalog.Service(ctx, k)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return nil, nil //nolint:nilnil // absent
	case err != nil:
		return nil, fmt.Errorf("service %v: %w", k, err)
	}
	return snap, nil
}

// fresh is snapshot after the barrier of ARC-R08.
func (s *Service) fresh(ctx context.Context, k registry.ServiceKey) (*registry.Snapshot, error) {
	if err := s.barrier(ctx, false); err != nil {
		return nil, err
	}
	return s.snapshot(ctx, k)
}

// barrier makes what is read next as fresh as this member can know.
func (s *Service) barrier(ctx context.Context, local bool) error {
	if local {
		return nil
	}
	if _, err := s.store.View(ctx, kv.Fresh); err != nil {
		return fmt.Errorf("fresh read: %w", err)
	}
	return nil
}

// own says whether Nacos registered an instance.
func (s *Service) own(e *registry.Endpoint) bool { return e.Publisher.Key.Owner == s.owner }

// kind is the one that a service has, 0 when it is free (NAC-NAM-23): that of
// its Nacos instances, else the one it was created with.
func (s *Service) kind(snap *registry.Snapshot) Kind {
	if snap == nil {
		return 0
	}
	for i := range snap.Endpoints {
		if e := &snap.Endpoints[i]; s.own(e) {
			return kindOf(e.Publisher)
		}
	}
	x := serviceExtOf(snap.Service, s.owner)
	return x.Kind
}

func kindOf(p *registry.Publisher) Kind {
	if p.Ephemeral {
		return Ephemeral
	}
	return Persistent
}

// find returns the endpoint at an address in this datacenter, Nacos' own before
// others; nil when there is none. Endpoints are sorted by origin, cluster, host
// and port.
func (s *Service) find(snap *registry.Snapshot, cluster, ip string, port uint16) *registry.Endpoint {
	if snap == nil {
		return nil
	}
	es := snap.Endpoints
	at := sort.Search(len(es), func(i int) bool {
		return cmp.Or(cmp.Compare(originOf(&es[i]), ""), cmp.Compare(es[i].Subset, cluster),
			cmp.Compare(es[i].Host, ip), cmp.Compare(es[i].Port, port)) >= 0
	})
	var foreign *registry.Endpoint
	for ; at < len(es); at++ {
		e := &es[at]
		switch {
		case e.Port != port || e.Host != ip || e.Subset != cluster || originOf(e) != "":
			return foreign
		case s.own(e):
			return e
		}
		foreign = e
	}
	return foreign
}

// originOf is the datacenter that an endpoint is from; blank for this one.
func originOf(e *registry.Endpoint) string {
	if e.Publisher.Info == nil {
		return ""
	}
	return e.Publisher.Info.Origin
}
