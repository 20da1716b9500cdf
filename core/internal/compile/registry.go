package compile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// enroller compiles the registry operations of one batch. It emits rows in the
// order of the operations, and remembers what they come to for those that
// follow.
//
// A row that was read is guarded. The row of an instance holds nothing but what
// its publisher's plugin says, so it is written without being read, and
// registrations never conflict with each other.
type enroller struct {
	committer *Committer
	ctx       context.Context //nolint:containedctx // lives for one call
	now       time.Time
	plan      *plan
	rows      map[string]*entry // by table and key
	dropped   []entryKey        // prefixes
}

// entry is a row as the batch leaves it; value nil: absent.
type entry struct {
	value []byte
	rec   *kv.Record // what is stored, if it was read
	lease kv.LeaseID
}

type entryKey struct {
	table string
	key   []byte
}

func (k *entryKey) text() string { return k.table + "\x00" + string(k.key) }

var errEmptyEnrol = errors.New("commit: empty registry operation")

func (p *enroller) op(o *registry.Op) error {
	switch {
	case o.PutInstance != nil:
		return p.putInstance(*o.PutInstance)
	case o.DropInstance != nil:
		return p.dropInstance(*o.DropInstance)
	case o.SetStatus != nil:
		return p.setStatus(*o.SetStatus)
	case o.PutPublisher != nil:
		return p.putPublisher(*o.PutPublisher)
	case o.DropPublisher != nil:
		return p.dropPublisher(*o.DropPublisher)
	case o.PutService != nil:
		return p.putService(*o.PutService)
	case o.DropService != nil:
		if err := catalog.CheckServiceKey(o.DropService); err != nil {
			return fmt.Errorf("drop service: %w", err)
		}
		p.delete(entryKey{catalog.TableService, catalog.RowOfService(o.DropService)})
		return nil
	case o.PutOverride != nil:
		return p.putOverride(*o.PutOverride)
	}
	return errEmptyEnrol
}

// read returns a row as the batch has left it so far, guarded.
func (p *enroller) read(k entryKey) (*entry, error) {
	if e := p.rows[k.text()]; e != nil {
		return e, nil
	}
	e := new(entry)
	p.rows[k.text()] = e
	if p.isDropped(&k) {
		return e, nil
	}
	rec, err := p.committer.Core.Get(p.ctx, k.table, k.key)
	var seen kv.Revision
	switch {
	case err == nil:
		e.rec, e.value, e.lease, seen = rec, rec.Value, rec.Lease, rec.Modified
	case !errors.Is(err, kv.ErrNotFound):
		return nil, err
	}
	p.plan.guards = append(p.plan.guards, kv.Compare{
		Table: k.table, Key: k.key, Target: kv.Modified, Rel: kv.Equal, Num: uint64(seen),
	})
	return e, nil
}

func (p *enroller) put(k entryKey, value []byte, lease kv.LeaseID) {
	p.plan.ops = append(p.plan.ops, kv.Op{
		Kind: kv.Put, Table: k.table, Key: k.key, Value: value, Lease: lease, SkipEqual: true,
	})
	e := p.rows[k.text()]
	if e == nil {
		e = new(entry)
		p.rows[k.text()] = e
	}
	e.value, e.lease = value, lease
}

func (p *enroller) delete(k entryKey) {
	p.plan.ops = append(p.plan.ops, kv.Op{Kind: kv.Delete, Table: k.table, Key: k.key})
	p.rows[k.text()] = new(entry)
}

func (p *enroller) deletePrefix(k entryKey) {
	p.plan.ops = append(p.plan.ops, kv.Op{Kind: kv.DeletePrefix, Table: k.table, Key: k.key})
	p.dropped = append(p.dropped, k)
	prefix := k.text()
	for name := range p.rows {
		if strings.HasPrefix(name, prefix) {
			p.rows[name] = new(entry)
		}
	}
}

// claim takes a key of this plugin's own persistent publishers.
func (p *enroller) claim(k *registry.PublisherKey) error {
	if err := catalog.Claim(p.committer.Owner, k); err != nil {
		return err
	}
	if ok, _ := p.committer.Registry.Persistent(*k); !ok {
		return fmt.Errorf("publisher %s: %w", k.Scope, registry.ErrEphemeral)
	}
	return nil
}

// leaseOf is the lease that an instance of a publisher ends with.
func (p *enroller) leaseOf(k *registry.PublisherKey) (kv.LeaseID, error) {
	e, err := p.read(entryKey{catalog.TablePublisher, catalog.RowOfPublisher(k)})
	if err != nil {
		return 0, err
	}
	return e.lease, nil
}

func (p *enroller) putInstance(r registry.Registration) error {
	if err := errors.Join(p.claim(&r.Publisher), catalog.CheckInstance(&r)); err != nil {
		return fmt.Errorf("put instance: %w", firstOf(err))
	}
	if _, n := p.committer.Registry.Persistent(r.Publisher); n >= registry.MaxPublish {
		return fmt.Errorf("put instance: %d of one publisher: %w", n, kv.ErrTooLarge)
	}
	lease, err := p.leaseOf(&r.Publisher)
	if err != nil {
		return err
	}
	id := r.ID
	if id == "" {
		id = catalog.HostPort(r.Host, r.Port)
	}
	key := catalog.RowOfInstance(&r.Publisher, &r.Service, r.Subset, id)
	p.put(entryKey{catalog.TableInstance, key}, catalog.EncodeInstance(&r), lease)
	return nil
}

func (p *enroller) dropInstance(k registry.InstanceKey) error {
	if err := errors.Join(p.claim(&k.Publisher), catalog.CheckKey(&k)); err != nil {
		return fmt.Errorf("drop instance: %w", firstOf(err))
	}
	switch {
	case k.ID != "":
		p.delete(entryKey{catalog.TableInstance, catalog.RowOfInstance(&k.Publisher, &k.Service, k.Subset, k.ID)})
	case k.Subset != "":
		p.deletePrefix(entryKey{catalog.TableInstance, catalog.RowsInSubset(&k.Publisher, &k.Service, k.Subset)})
	default:
		p.deletePrefix(entryKey{catalog.TableInstance, catalog.RowsInService(&k.Publisher, &k.Service)})
	}
	return nil
}

func (p *enroller) setStatus(c registry.StatusChange) error {
	k := &c.Instance
	if err := errors.Join(p.claim(&k.Publisher), catalog.CheckKey(k), catalog.CheckStatus(c.Status)); err != nil {
		return fmt.Errorf("set status: %w", firstOf(err))
	}
	row := entryKey{catalog.TableInstance, catalog.RowOfInstance(&k.Publisher, &k.Service, k.Subset, k.ID)}
	e, err := p.read(row)
	if err != nil || e.value == nil {
		return err
	}
	r, err := catalog.DecodeInstance(e.value)
	if err != nil {
		return err
	}
	r.Status = c.Status
	p.put(row, catalog.EncodeInstance(&r), e.lease)
	return nil
}

func (p *enroller) putPublisher(n registry.Publisher) error {
	if n.Ephemeral {
		return fmt.Errorf("put publisher %s: %w", n.Key.Scope, registry.ErrEphemeral)
	}
	if err := errors.Join(p.claim(&n.Key), catalog.CheckInfo(&n)); err != nil {
		return fmt.Errorf("put publisher: %w", firstOf(err))
	}
	row := entryKey{catalog.TablePublisher, catalog.RowOfPublisher(&n.Key)}
	e, err := p.read(row)
	if err != nil {
		return err
	}
	var lease kv.LeaseID
	if n.Info != nil {
		lease = n.Info.Lease
	}
	if lease != e.lease {
		if err := p.release(row.key, lease); err != nil {
			return err
		}
	}
	p.put(row, catalog.EncodePublisher(&n), lease)
	return nil
}

// release hangs the instances of a publisher on another lease (CTR-M08).
func (p *enroller) release(prefix []byte, lease kv.LeaseID) error {
	view, err := p.committer.Core.View(p.ctx, kv.Local)
	if err != nil {
		return err
	}
	page, err := view.Range(p.ctx, kv.Range{Table: catalog.TableInstance, Prefix: prefix, Limit: kv.MaxCompiled})
	if err != nil {
		return err
	}
	if page.Next != nil {
		return fmt.Errorf("put publisher: another lease for more than %d instances: %w", kv.MaxCompiled, kv.ErrTooLarge)
	}
	// Rows that others add or change meanwhile are found by the guard; those that
	// this batch has written already carry the old lease and are written again.
	p.plan.guards = append(p.plan.guards, kv.Compare{
		Table: catalog.TableInstance, Key: prefix, Target: kv.Newest, Rel: kv.Equal, Num: uint64(page.Newest),
	})
	stored := map[string]bool{}
	for _, rec := range page.Records {
		k := entryKey{catalog.TableInstance, rec.Key}
		stored[k.text()] = true
		e := p.rows[k.text()]
		switch {
		case e == nil && !p.isDropped(&k):
			p.put(k, rec.Value, lease)
		case e != nil && e.value != nil:
			p.put(k, e.value, lease)
		}
	}
	first := entryKey{catalog.TableInstance, prefix}
	for _, name := range slices.Sorted(maps.Keys(p.rows)) {
		if e := p.rows[name]; e.value != nil && !stored[name] && strings.HasPrefix(name, first.text()) {
			p.put(entryKey{catalog.TableInstance, []byte(name[len(catalog.TableInstance)+1:])}, e.value, lease)
		}
	}
	return nil
}

func (p *enroller) isDropped(k *entryKey) bool {
	return slices.ContainsFunc(p.dropped, func(d entryKey) bool { return d.table == k.table && bytes.HasPrefix(k.key, d.key) })
}

func (p *enroller) dropPublisher(k registry.PublisherKey) error {
	if err := p.claim(&k); err != nil {
		return fmt.Errorf("drop publisher: %w", err)
	}
	key := catalog.RowOfPublisher(&k)
	p.deletePrefix(entryKey{catalog.TableInstance, key})
	p.delete(entryKey{catalog.TablePublisher, key})
	return nil
}

func (p *enroller) putService(n registry.ServicePut) error {
	s := n.Service
	if err := catalog.CheckService(&s, n.Ext); err != nil {
		return fmt.Errorf("put service: %w", err)
	}
	row := entryKey{catalog.TableService, catalog.RowOfService(&s.Key)}
	e, err := p.read(row)
	if err != nil {
		return err
	}
	s.Ext, s.Created = nil, p.now.UnixMilli()
	if e.value != nil {
		if n.New {
			return fmt.Errorf("put service %s: it exists: %w", s.Key.Name, kv.ErrConflict)
		}
		old, err := catalog.DecodeService(s.Key, &kv.Record{Value: e.value})
		if err != nil {
			return err
		}
		s.Ext, s.Created = old.Ext, old.Created
	}
	if n.Ext != nil {
		s.Ext = catalog.WithExt(s.Ext, p.committer.Owner, n.Ext)
	}
	p.put(row, catalog.EncodeService(&s), 0)
	return nil
}

func (p *enroller) putOverride(n registry.OverridePut) error {
	o := &n.Override
	if err := catalog.CheckOverride(o); err != nil {
		return fmt.Errorf("put override: %w", err)
	}
	owner := p.committer.Owner
	if (o.Weight != nil || o.HasMeta) && p.committer.Registry.Foreign(owner, o) {
		return fmt.Errorf("put override: more than rotation of %s:%d: %w", o.Host, o.Port, kv.ErrForeign)
	}
	row := entryKey{catalog.TableOverride, catalog.RowOfOverride(o)}
	e, err := p.read(row)
	if err != nil {
		return err
	}
	l := new(catalog.Laid)
	if e.value != nil {
		if l, err = catalog.DecodeLaid(e.value); err != nil {
			return err
		}
	}
	layOver(l, owner, &n)
	if l.Enabled == nil && len(l.Parts) == 0 {
		p.delete(row)
		return nil
	}
	p.put(row, catalog.EncodeLaid(l), 0)
	return nil
}

// layOver changes an override as its writer asks.
func layOver(l *catalog.Laid, owner string, n *registry.OverridePut) {
	at, found := slices.BinarySearchFunc(l.Parts, owner, func(x catalog.Part, owner string) int { return cmp.Compare(x.Owner, owner) })
	part := catalog.Part{Owner: owner}
	if found {
		part = l.Parts[at]
		l.Parts = slices.Delete(l.Parts, at, at+1)
	}
	if n.Clear {
		part, l.Enabled = catalog.Part{Owner: owner}, nil
	}
	if n.Enabled != nil {
		l.Enabled = n.Enabled
	}
	if n.Weight != nil {
		part.Weight = n.Weight
	}
	if n.HasMeta {
		part.HasMeta, part.Meta = true, n.Meta
	}
	if part.Weight != nil || part.HasMeta {
		l.Parts = slices.Insert(l.Parts, at, part)
	}
}
