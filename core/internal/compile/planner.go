package compile

import (
	"crypto/md5"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

// planner compiles the config operations of one batch. Those on the same item see
// each other through its draft.
type planner struct {
	committer *Committer
	by        auth.Actor
	now       int64
	plan      *plan
	items     []*draft
	seq       uint16 // of the stamps
	limits    configraft.Limits
	guarded   bool                // the limits are the same when the batch is applied
	limited   []configstore.Scope // whose items are limited anew by this batch
}

// draft is an item as the batch leaves it.
type draft struct {
	key      configstore.Key
	was      *configstore.Head // what is stored; nil: nothing
	head     *configstore.Head // what will be; nil: nothing
	variants map[string]*configstore.Variant
	changed  bool
	stamped  bool // head.Version is of this batch
	seq      uint16
	seqs     map[string]uint16 // stamps of variants written by this batch
	counted  bool              // as a new item, by this batch
	room     configstore.Head  // for the first head that the batch makes
	taken    bool              // room is
	ext      [1]registry.Ext   // for the only part of a head
}

// blank returns an empty head.
func (d *draft) blank() *configstore.Head {
	if d.taken {
		return new(configstore.Head)
	}
	d.taken = true
	return &d.room
}

var errEmptyOp = errors.New("commit: empty config operation")

func (p *planner) op(i int, o *configstore.Op) error {
	switch {
	case o.Publish != nil:
		return p.publish(i, o.Publish)
	case o.Remove != nil:
		return p.remove(i, o.Remove)
	case o.Meta != nil:
		return p.meta(i, o.Meta)
	case o.Limit != nil:
		p.limit(i, o.Limit)
		return nil
	}
	return errEmptyOp
}

// draft returns the draft of an item, begun from what is stored and guarded.
func (p *planner) draft(k configstore.Key) *draft {
	for _, d := range p.items {
		if d.key == k {
			return d
		}
	}
	d := &p.plan.first
	if len(p.items) > 0 {
		d = new(draft)
	}
	d.key, d.was = k, p.committer.Configs.Head(k)
	d.head = d.was // heads are replaced, not changed
	var seen kv.Revision
	if d.was != nil {
		seen = d.was.Revision
	}
	p.items = append(p.items, d)
	p.plan.guards = append(p.plan.guards, kv.Compare{Key: p.headKey(d), Target: kv.Modified, Rel: kv.Equal, Num: uint64(seen)})
	return d
}

func (p *planner) headKey(d *draft) []byte {
	at := p.plan.begin(p.plan.ids.Head)
	p.plan.arena = configraft.ItemKey(p.plan.arena, d.key)
	return p.plan.cut(at)
}

// variant returns a variant of the draft as it stands, nil when absent.
func (d *draft) variant(name string) *configstore.Variant {
	if v, ok := d.variants[name]; ok {
		return v
	}
	if d.head == nil {
		return nil
	}
	for _, v := range d.head.Variants {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// guard checks the optimistic condition of an op.
func (d *draft) guard(g configstore.Guard, variant string) error {
	if g == (configstore.Guard{}) {
		return nil
	}
	var (
		digest configstore.Digest
		there  bool
		refuse = &configstore.GuardError{Key: d.key}
	)
	if d.head != nil {
		refuse.Revision, digest, there = d.head.Revision, d.head.Digest, d.head.Formal
	}
	if variant != "" {
		v := d.variant(variant)
		if there = v != nil; there {
			digest = v.Digest
		}
	}
	refuse.Digest = digest
	switch {
	case g.Absent && there,
		g.Digest != nil && (!there || digest != *g.Digest),
		g.Revision != 0 && (d.head == nil || d.head.Revision != g.Revision):
		return refuse
	}
	return nil
}

// owned refuses a write to another plugin's read-only projection.
func (p *planner) owned(d *draft) error {
	if d.head != nil && d.head.ReadOnly && d.head.Owner != p.committer.Owner {
		return fmt.Errorf("config %v is kept by %s: %w", d.key, d.head.Owner, kv.ErrForeign)
	}
	return nil
}

func (p *planner) publish(i int, op *configstore.Publish) error {
	if len(op.Content) > configstore.MaxContent {
		return fmt.Errorf("content of %v: %d bytes: %w", op.Key, len(op.Content), kv.ErrTooLarge)
	}
	d := p.draft(op.Key)
	if err := errors.Join(p.owned(d), d.guard(op.If, op.Variant)); err != nil {
		return firstOf(err)
	}
	if err := p.quota(i, d, int64(len(op.Content))); err != nil {
		return err
	}
	d.counted = d.counted || d.was == nil
	if op.Variant != "" {
		return p.publishVariant(i, d, op)
	}
	return p.publishFormal(i, d, op)
}

// firstOf unwraps a join to the first error, which is what a caller is told.
func firstOf(err error) error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		return many.Unwrap()[0]
	}
	return err
}

// begin makes sure that the draft has a head.
func (p *planner) begin(d *draft, source string) {
	if d.head == nil {
		d.head = d.blank()
		d.head.Key, d.head.Creator, d.head.Source, d.head.Created = d.key, p.by.Subject, source, p.now
	}
}

func (p *planner) publishFormal(i int, d *draft, op *configstore.Publish) error {
	created := d.head == nil || !d.head.Formal
	next := p.formal(d, op)
	if !created && op.Kind == "" && sameFormal(d.head, next) {
		return nil
	}
	kind := op.Kind
	switch {
	case kind != "":
	case created:
		kind = configstore.KindCreate
	default:
		kind = configstore.KindUpdate
	}
	e := p.entry(d.key, kind, "", op.Meta)
	e.Digest, e.Size, e.Type, e.App, e.Cipher = next.Digest, next.Size, next.Type, next.App, next.Cipher
	if d.head != nil && !d.stamped {
		e.Previous = d.head.Version
	}
	d.head, d.changed, d.stamped = next, true, true
	d.seq = p.version(&e, next.Desc, next.Tags, op.Content)
	p.plan.outcomes[i] = configstore.Outcome{Changed: true, Created: created, Version: kv.Stamp(d.seq) + 1}
	return nil
}

// formal returns the head after a formal publish.
func (p *planner) formal(d *draft, op *configstore.Publish) *configstore.Head {
	next := d.blank()
	if d.head != nil {
		configraft.CopyHead(next, d.head)
	} else {
		next.Key, next.Creator, next.Source, next.Created = d.key, p.by.Subject, p.by.Addr, p.now
	}
	next.Digest, next.Size, next.Formal = md5.Sum(op.Content), int32(len(op.Content)), true
	next.Type, next.Cipher, next.ReadOnly, next.Modified = op.Type, op.Cipher, op.ReadOnly, p.now
	if op.App != nil {
		next.App = *op.App
	}
	if op.Desc != nil {
		next.Desc = *op.Desc
	}
	if op.SetTags {
		next.Tags = op.Tags
	}
	if op.Owned {
		next.Owner = p.committer.Owner
	}
	if op.Ext != nil {
		next.Ext = d.withExt(next.Ext, p.committer.Owner, op.Ext)
	}
	return next
}

func sameFormal(a, b *configstore.Head) bool {
	return a.Digest == b.Digest && a.Type == b.Type && a.App == b.App && a.Desc == b.Desc && a.Cipher == b.Cipher &&
		a.ReadOnly == b.ReadOnly && a.Owner == b.Owner && slices.Equal(a.Tags, b.Tags) &&
		slices.EqualFunc(a.Ext, b.Ext, func(x, y registry.Ext) bool { return x.Owner == y.Owner && string(x.Data) == string(y.Data) })
}

// withExt replaces the part of one owner; those of others are kept, in the order
// of their names.
func (d *draft) withExt(ext []registry.Ext, owner string, data []byte) []registry.Ext {
	own := registry.Ext{Owner: owner, Data: data}
	if len(ext) == 0 {
		d.ext[0] = own
		return d.ext[:1:1]
	}
	at, found := slices.BinarySearchFunc(ext, owner, func(e registry.Ext, owner string) int {
		return strings.Compare(e.Owner, owner)
	})
	out := slices.Clone(ext)
	if found {
		out[at] = own
		return out
	}
	return slices.Insert(out, at, own)
}

func (p *planner) entry(k configstore.Key, kind, variant string, meta configstore.Pairs) configstore.Entry {
	return configstore.Entry{Key: k, Kind: kind, Variant: variant, Actor: p.by.Subject, Source: p.by.Addr, At: p.now, Meta: meta}
}

// version adds the row of a version and returns the seq of its stamp.
func (p *planner) version(e *configstore.Entry, desc string, tags []string, content []byte) uint16 {
	seq := p.seq
	p.seq++
	pl := p.plan
	at := pl.begin(pl.ids.Version)
	pl.arena = configraft.VersionKey(pl.arena, e.Key, 0)
	key := pl.cut(at)
	at = len(pl.arena)
	pl.arena = configraft.AppendVersion(pl.arena, e, desc, tags, content)
	pl.ops = append(pl.ops, kv.Op{
		Kind: kv.Put, Key: key, StampKey: int32(len(key)-configraft.StampSize) + 1, Seq: seq, Value: pl.cut(at),
	})
	return seq
}
