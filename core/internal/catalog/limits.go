package catalog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
)

var (
	errName   = errors.New("blank")
	errStatus = errors.New("no status that can be written")
	errWeight = errors.New("not a number")
	errKeys   = errors.New("keys are not unique")
)

func tooLarge(what string, have, most int) error {
	return fmt.Errorf("%s: %d of at most %d: %w", what, have, most, kv.ErrTooLarge)
}

// names checks the length of texts that name something.
func names(texts ...string) error {
	for _, s := range texts {
		if len(s) > registry.MaxName {
			return tooLarge("bytes of a name", len(s), registry.MaxName)
		}
	}
	return nil
}

func checkService(k *registry.ServiceKey) error {
	if k.Name == "" {
		return fmt.Errorf("service name: %w", errName)
	}
	return names(k.Namespace, k.Group, k.Name)
}

func checkPublisher(k *registry.PublisherKey) error {
	if k.Scope == "" {
		return fmt.Errorf("scope of a publisher: %w", errName)
	}
	return names(k.Scope)
}

// checkPairs bounds a set and returns it sorted.
func checkPairs(p registry.Pairs) (registry.Pairs, error) {
	if len(p) > registry.MaxPairs {
		return nil, tooLarge("pairs", len(p), registry.MaxPairs)
	}
	size, sorted := 0, true
	for i := range p {
		size += len(p[i].Key) + len(p[i].Value)
		sorted = sorted && (i == 0 || p[i-1].Key < p[i].Key)
	}
	if size > registry.MaxMeta {
		return nil, tooLarge("bytes of metadata", size, registry.MaxMeta)
	}
	if sorted {
		return p, nil
	}
	p = slices.Clone(p)
	slices.SortFunc(p, func(a, b registry.Pair) int { return strings.Compare(a.Key, b.Key) })
	for i := range p[1:] {
		if p[i].Key == p[i+1].Key {
			return nil, fmt.Errorf("metadata: %w", errKeys)
		}
	}
	return p, nil
}

func checkExt(data []byte) error {
	if len(data) > registry.MaxExt {
		return tooLarge("bytes of a plugin's own", len(data), registry.MaxExt)
	}
	return nil
}

func checkStatus(s *registry.Status) error {
	switch *s {
	case 0:
		*s = registry.Passing
	case registry.Passing, registry.Warning, registry.Critical:
	default:
		return fmt.Errorf("status %d: %w", *s, errStatus)
	}
	return nil
}

// CheckInstance bounds a registration and completes it (CTR-R11): its sets are
// sorted, no status is Passing, an id that says host:port is no id.
func CheckInstance(r *registry.Registration) (err error) {
	if err := checkService(&r.Service); err != nil {
		return err
	}
	if r.Host == "" {
		return fmt.Errorf("host: %w", errName)
	}
	l := &r.Locality
	if err := names(r.Subset, r.ID, r.Host, l.Region, l.Zone, l.Subzone); err != nil {
		return err
	}
	if math.IsNaN(r.Weight) || r.Warn != nil && math.IsNaN(*r.Warn) {
		return fmt.Errorf("weight: %w", errWeight)
	}
	if err := checkLists(r.Tags, r.Ports); err != nil {
		return err
	}
	if r.Meta, err = checkPairs(r.Meta); err != nil {
		return err
	}
	if r.Addrs, err = checkPairs(r.Addrs); err != nil {
		return err
	}
	if r.ID != "" && r.ID == HostPort(r.Host, r.Port) {
		r.ID = ""
	}
	return errors.Join(checkExt(r.Ext), checkStatus(&r.Status))
}

func checkLists(tags []string, ports []registry.NamedPort) error {
	if len(tags) > registry.MaxPairs || len(ports) > registry.MaxPairs {
		return tooLarge("tags or ports", max(len(tags), len(ports)), registry.MaxPairs)
	}
	size := 0
	for _, t := range tags {
		size += len(t)
	}
	for i := range ports {
		size += len(ports[i].Name)
	}
	if size > registry.MaxMeta {
		return tooLarge("bytes of tags and ports", size, registry.MaxMeta)
	}
	return nil
}

// CheckInfo bounds a publisher and completes it.
func CheckInfo(p *registry.Publisher) (err error) {
	if err := errors.Join(checkPublisher(&p.Key), checkStatus(&p.Status)); err != nil {
		return err
	}
	if p.Info == nil {
		return nil
	}
	in := *p.Info
	if err := errors.Join(names(in.Origin, in.Addr), checkExt(in.Ext)); err != nil {
		return err
	}
	if l := in.Locality; l != nil {
		if err := names(l.Region, l.Zone, l.Subzone); err != nil {
			return err
		}
	}
	in.Labels, err = checkPairs(in.Labels)
	p.Info = &in
	return err
}

// CheckService bounds the settings of a service and completes them.
func CheckService(s *registry.Service, ext []byte) (err error) {
	if err := errors.Join(checkService(&s.Key), checkExt(ext)); err != nil {
		return err
	}
	if math.IsNaN(s.Protect) {
		return fmt.Errorf("protect: %w", errWeight)
	}
	if len(s.Selector) > registry.MaxMeta {
		return tooLarge("bytes of a selector", len(s.Selector), registry.MaxMeta)
	}
	if len(s.Subsets) > registry.MaxPairs {
		return tooLarge("subsets", len(s.Subsets), registry.MaxPairs)
	}
	if s.Meta, err = checkPairs(s.Meta); err != nil {
		return err
	}
	s.Subsets = slices.Clone(s.Subsets)
	slices.SortFunc(s.Subsets, func(a, b registry.Subset) int { return strings.Compare(a.Name, b.Name) })
	for i := range s.Subsets {
		sub := &s.Subsets[i]
		if i > 0 && s.Subsets[i-1].Name == sub.Name {
			return fmt.Errorf("subsets: %w", errKeys)
		}
		if sub.Meta, err = checkPairs(sub.Meta); err != nil {
			return err
		}
		if err := names(sub.Name); err != nil {
			return err
		}
		if c := sub.Check; c != nil {
			if err := errors.Join(names(c.Kind), checkExt(c.Spec)); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckOverride bounds an override and completes it.
func CheckOverride(o *registry.Override) (err error) {
	if err := errors.Join(checkService(&o.Service), names(o.Subset, o.Host)); err != nil {
		return err
	}
	if o.Host == "" {
		return fmt.Errorf("host: %w", errName)
	}
	if o.Weight != nil && math.IsNaN(*o.Weight) {
		return fmt.Errorf("weight: %w", errWeight)
	}
	o.Meta, err = checkPairs(o.Meta)
	return err
}

// CheckKey bounds the name of an instance.
func CheckKey(k *registry.InstanceKey) error {
	return errors.Join(checkPublisher(&k.Publisher), checkService(&k.Service), names(k.Subset, k.ID))
}

// CheckServiceKey bounds the name of a service.
func CheckServiceKey(k *registry.ServiceKey) error { return checkService(k) }

// Claim fills the owner of a publisher's key in, and refuses another one's
// (CTR-M07).
func Claim(owner string, k *registry.PublisherKey) error { return claim(owner, k) }

// CheckStatus refuses what is no status that can be written.
func CheckStatus(s registry.Status) error {
	if s == 0 {
		return fmt.Errorf("status 0: %w", errStatus)
	}
	return checkStatus(&s)
}
