package compile

import (
	"crypto/md5"
	"errors"
	"slices"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// setVariant notes a variant of the draft; nil removes it.
func (d *draft) setVariant(name string, v *configstore.Variant) {
	if d.variants == nil {
		d.variants = map[string]*configstore.Variant{}
	}
	d.variants[name] = v
	d.changed = true
}

func (p *planner) publishVariant(i int, d *draft, op *configstore.Publish) error {
	old := d.variant(op.Variant)
	next := &configstore.Variant{
		Name: op.Variant, Digest: md5.Sum(op.Content), Size: int32(len(op.Content)),
		Type: op.Type, Cipher: op.Cipher, Actor: p.by.Subject, Modified: p.now,
	}
	switch {
	case op.Rule != nil:
		next.Rule = *op.Rule
	case old != nil:
		next.Rule = old.Rule
	}
	if old != nil && op.Kind == "" && old.Digest == next.Digest && old.Type == next.Type &&
		old.Cipher == next.Cipher && sameRule(&old.Rule, &next.Rule) {
		return nil
	}
	kind := op.Kind
	switch {
	case kind != "":
	case old == nil:
		kind = configstore.KindCreate
	default:
		kind = configstore.KindUpdate
	}
	p.begin(d, p.by.Addr)
	e := p.entry(d.key, kind, op.Variant, op.Meta)
	e.Digest, e.Size, e.Type, e.Cipher, e.Rule = next.Digest, next.Size, next.Type, next.Cipher, &next.Rule
	if old != nil {
		e.Previous = old.Version
	}
	if op.App != nil {
		e.App = *op.App
	}
	seq := p.version(&e, "", nil, op.Content)
	if d.seqs == nil {
		d.seqs = map[string]uint16{}
	}
	d.seqs[op.Variant] = seq
	d.setVariant(op.Variant, next)
	p.plan.outcomes[i] = configstore.Outcome{Changed: true, Created: old == nil, Version: kv.Stamp(seq) + 1}
	return nil
}

func sameRule(a, b *configstore.Rule) bool {
	return a.Type == b.Type && a.Version == b.Version && a.Expr == b.Expr && a.Priority == b.Priority
}

func (p *planner) remove(i int, op *configstore.Remove) error {
	d := p.draft(op.Key)
	if err := errors.Join(p.owned(d), d.guard(op.If, op.Variant)); err != nil {
		return firstOf(err)
	}
	if d.head == nil {
		return nil
	}
	if op.Variant != "" {
		return p.removeVariant(i, d, op)
	}
	for _, name := range d.names() {
		p.ended(d, name, op.Meta)
	}
	if d.head.Formal {
		e := p.entry(d.key, configstore.KindDelete, "", op.Meta)
		e.Digest, e.Size, e.Type, e.App, e.Cipher = d.head.Digest, d.head.Size, d.head.Type, d.head.App, d.head.Cipher
		if !d.stamped {
			e.Previous = d.head.Version
		}
		seq := p.version(&e, d.head.Desc, d.head.Tags, nil)
		p.plan.outcomes[i].Version = kv.Stamp(seq) + 1
	}
	p.plan.outcomes[i].Changed = true
	d.head, d.changed, d.stamped = nil, true, false
	return nil
}

func (p *planner) removeVariant(i int, d *draft, op *configstore.Remove) error {
	if d.variant(op.Variant) == nil {
		return nil
	}
	seq := p.ended(d, op.Variant, op.Meta)
	p.plan.outcomes[i] = configstore.Outcome{Changed: true, Version: kv.Stamp(seq) + 1}
	if !d.head.Formal && len(d.names()) == 0 {
		d.head = nil
	}
	return nil
}

// names lists the variants of the draft, in order.
func (d *draft) names() []string {
	var out []string
	if d.head != nil {
		for _, v := range d.head.Variants {
			if w, ok := d.variants[v.Name]; !ok || w != nil {
				out = append(out, v.Name)
			}
		}
	}
	for name, v := range d.variants {
		if v != nil && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// ended removes a variant and writes the version that says so.
func (p *planner) ended(d *draft, name string, meta configstore.Pairs) uint16 {
	old := d.variant(name)
	e := p.entry(d.key, configstore.KindDelete, name, meta)
	e.Digest, e.Size, e.Type, e.Cipher, e.Rule, e.Previous = old.Digest, old.Size, old.Type, old.Cipher, &old.Rule, old.Version
	d.setVariant(name, nil)
	return p.version(&e, "", nil, nil)
}

func (p *planner) meta(i int, op *configstore.MetaChange) error {
	d := p.draft(op.Key)
	if err := errors.Join(p.owned(d), d.guard(op.If, "")); err != nil {
		return firstOf(err)
	}
	if d.head == nil {
		return nil
	}
	next := configraft.CloneHead(d.head)
	if op.Desc != nil {
		next.Desc = *op.Desc
	}
	if op.SetTags {
		next.Tags = op.Tags
	}
	if next.Desc == d.head.Desc && slices.Equal(next.Tags, d.head.Tags) {
		return nil
	}
	next.Modified = p.now
	d.head, d.changed = next, true
	p.plan.outcomes[i].Changed = true
	return nil
}

// finish adds the rows that every draft comes to.
func (p *planner) finish() error {
	if len(p.plan.blocked) > 0 {
		return nil
	}
	for _, d := range p.items {
		if !d.changed {
			continue
		}
		if err := p.rows(d); err != nil {
			return err
		}
	}
	p.recount()
	return nil
}

func (p *planner) rows(d *draft) error {
	head := kv.Op{Kind: kv.Delete, Key: p.headKey(d)}
	switch {
	case d.head != nil:
		if d.stamped {
			d.head.Version, head.StampValue, head.Seq = 0, configraft.StampAt, d.seq
		}
		at := len(p.plan.arena)
		p.plan.arena = configraft.AppendHead(p.plan.arena, d.head)
		head.Kind, head.Value = kv.Put, p.plan.cut(at)
	case d.was != nil || d.counted:
		if err := p.uncount(d); err != nil {
			return err
		}
	}
	p.plan.ops = append(p.plan.ops, head)
	for name, v := range d.variants {
		p.variantRow(d, name, v)
	}
	if d.head != nil || d.was == nil {
		return nil
	}
	for _, v := range d.was.Variants {
		if _, told := d.variants[v.Name]; !told {
			p.variantRow(d, v.Name, nil)
		}
	}
	return nil
}

func (p *planner) variantRow(d *draft, name string, v *configstore.Variant) {
	op := kv.Op{Kind: kv.Delete, Key: configraft.VariantKey(fsm.AppendKey(nil, p.plan.ids.Variant, nil), d.key, name)}
	if v != nil {
		op.Kind = kv.Put
		v.Version, op.StampValue, op.Seq = 0, configraft.StampAt, d.seqs[name]
		op.Value = configraft.AppendVariant(nil, v)
	}
	p.plan.ops = append(p.plan.ops, op)
}
