package registrytest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// Two sides that render to the same text are the same. Times and revisions are
// not part of it.

func renderPairs(p registry.Pairs) string {
	var b strings.Builder
	for i := range p {
		fmt.Fprintf(&b, "%q=%q ", p[i].Key, p[i].Value)
	}
	return b.String()
}

func renderExt(ext []registry.Ext) string {
	var b strings.Builder
	for i := range ext {
		fmt.Fprintf(&b, "%s:%q ", ext[i].Owner, ext[i].Data)
	}
	return b.String()
}

func renderService(s *registry.Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "settings protect=%v selector=%q meta=[%s] ext=[%s]", s.Protect, s.Selector, renderPairs(s.Meta), renderExt(s.Ext))
	for i := range s.Subsets {
		fmt.Fprintf(&b, " subset=%q", s.Subsets[i].Name)
	}
	return b.String()
}

func renderPublisher(p *registry.Publisher) string {
	out := fmt.Sprintf("status=%d ephemeral=%t stale=%t", p.Status, p.Ephemeral, p.Stale)
	if i := p.Info; i != nil {
		out += fmt.Sprintf(" origin=%q addr=%q labels=[%s] ext=%q out=%t", i.Origin, i.Addr, renderPairs(i.Labels), i.Ext, i.Out)
	}
	return out
}

func renderWarn(w *float64) string {
	if w == nil {
		return "none"
	}
	return fmt.Sprint(*w)
}

// renderInstance renders a registration.
func renderInstance(k registry.PublisherKey, p *registry.Publisher, r *registry.Registration) string {
	var ext []registry.Ext
	if len(r.Ext) > 0 {
		ext = []registry.Ext{{Owner: k.Owner, Data: r.Ext}}
	}
	return fmt.Sprintf("%s/%s (%s) id=%q %s/%s:%d weight=%v warn=%s status=%d enabled=%t drain=%t zone=%q tags=%q meta=[%s] ext=[%s]",
		k.Owner, k.Scope, renderPublisher(p), r.ID, r.Subset, r.Host, r.Port, r.Weight, renderWarn(r.Warn), r.Status, r.Enabled, r.Drain,
		r.Locality.Zone, r.Tags, renderPairs(r.Meta), renderExt(ext))
}

// renderStored renders an instance as the catalog gives it.
func renderStored(in *registry.Instance) string {
	r := registry.Registration{
		ID: in.ID, Subset: in.Subset, Host: in.Host, Port: in.Port, Weight: in.Weight, Status: in.Status, Enabled: in.Enabled, Meta: in.Meta.Pairs(),
	}
	if x := in.Rare; x != nil {
		r.Warn, r.Drain, r.Tags = x.Warn, x.Drain, x.Tags
		if x.Locality != nil {
			r.Locality = *x.Locality
		}
		if len(x.Ext) > 0 {
			r.Ext = x.Ext[0].Data
		}
	}
	return renderInstance(in.Publisher.Key, in.Publisher, &r)
}

// renderSnapshot renders a service; blank when it is gone.
func renderSnapshot(s *registry.Snapshot) string {
	if s == nil || s.Gone {
		return ""
	}
	var lines []string
	if s.Service != nil {
		lines = append(lines, renderService(s.Service))
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		lines = append(lines, renderStored(e.Instance)+
			fmt.Sprintf(" health=%d duplicate=%t transit=%t", e.Health, e.Duplicate, e.Rare != nil && e.Rare.Transit))
	}
	return strings.Join(lines, "\n")
}

func renderPublication(p *registry.Publication) string {
	lines := make([]string, 0, len(p.Instances))
	for i := range p.Instances {
		lines = append(lines, p.Instances[i].Service.Name+" "+renderStored(p.Instances[i].Instance))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
