package distro

import (
	"errors"
	"fmt"
	"time"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/registry"
)

// maxPart is about how many bytes a part of a set has.
const maxPart = 2 << 20

// errStranger reports a message of somebody who is no other member, or to a group
// of one: the sender tries again.
var errStranger = errors.New("no such member")

func keyOut(k *registry.PublisherKey) *peerv1.DistroKey {
	return &peerv1.DistroKey{Owner: k.Owner, Scope: k.Scope}
}

func keyIn(k *peerv1.DistroKey) registry.PublisherKey {
	return registry.PublisherKey{Owner: k.GetOwner(), Scope: k.GetScope()}
}

func stampOut(s *Stamp) *peerv1.DistroStamp {
	return &peerv1.DistroStamp{Incarnation: s.Incarnation, Member: s.Member, Epoch: s.Epoch, Sequence: s.Sequence}
}

func stampIn(s *peerv1.DistroStamp) Stamp {
	return Stamp{s.GetIncarnation(), s.GetMember(), s.GetEpoch(), s.GetSequence()}
}

func baseOut(s *Stamp) *peerv1.DistroStamp {
	if s == nil {
		return nil
	}
	return stampOut(s)
}

func baseIn(s *peerv1.DistroStamp) *Stamp {
	if s == nil {
		return nil
	}
	base := stampIn(s)
	return &base
}

// render is the state of a record as it travels, in parts when it is large. The
// content is that of the stamp: if the publisher has changed since, it is stamped
// anew.
func (s *state) render(r *record, now time.Time) []*peerv1.DistroSet {
	var held *catalog.Held
	for !r.gone {
		var ok bool
		held, ok = s.catalog.Held(r.key)
		if s.pending.has(r.key) {
			s.flush(now)
			continue
		}
		if !ok {
			return nil // it could not be placed
		}
		break
	}
	set := &peerv1.DistroSet{Key: keyOut(&r.key), Stamp: stampOut(&r.stamp), Base: baseOut(r.base), Gone: r.gone, Free: r.free}
	if r.gone {
		return []*peerv1.DistroSet{set}
	}
	held.Publisher.Stale = r.stale
	set.Publisher = catalog.EncodePublisher(&held.Publisher)
	return split(set, held)
}

// split adds the instances, in as many parts as it takes.
func split(set *peerv1.DistroSet, h *catalog.Held) []*peerv1.DistroSet {
	parts := []*peerv1.DistroSet{set}
	room := maxPart
	for i := range h.Instances {
		in := instanceOut(&h.Instances[i])
		in.Silent = h.Silent != nil && h.Silent[i]
		if room -= sizeOfInstance(in); room < 0 {
			set.More = true
			set = &peerv1.DistroSet{Key: set.GetKey(), Stamp: set.GetStamp(), Part: uint32(len(parts))}
			parts, room = append(parts, set), maxPart
		}
		set.Instances = append(set.Instances, in)
	}
	return parts
}

func instanceOut(r *registry.Registration) *peerv1.DistroInstance {
	return &peerv1.DistroInstance{
		Namespace: r.Service.Namespace, Group: r.Service.Group, Service: r.Service.Name, Subset: r.Subset, Id: r.ID,
		Record: catalog.EncodeInstance(r), Unhealthy: r.Expiry.Unhealthy.Milliseconds(), Remove: r.Expiry.Remove.Milliseconds(),
	}
}

func instanceIn(in *peerv1.DistroInstance) (registry.Registration, error) {
	r, err := catalog.DecodeInstance(in.GetRecord())
	r.Service = registry.ServiceKey{Namespace: in.GetNamespace(), Group: in.GetGroup(), Name: in.GetService()}
	r.Subset, r.ID = in.GetSubset(), in.GetId()
	r.Expiry = registry.Expiry{Unhealthy: millis(in.GetUnhealthy()), Remove: millis(in.GetRemove())}
	return r, err
}

// maxExpiry is the longest silence that is told.
const maxExpiry = 365 * 24 * time.Hour

func millis(n int64) time.Duration {
	return time.Duration(min(max(0, n), maxExpiry.Milliseconds())) * time.Millisecond
}

// setIn reads a state; what it holds is checked when it is placed.
func setIn(set *peerv1.DistroSet) (*arrived, error) {
	a := &arrived{key: keyIn(set.GetKey()), version: version{stampIn(set.GetStamp()), baseIn(set.GetBase())}, gone: set.GetGone(), free: set.GetFree()}
	if a.stamp.Incarnation == 0 || a.stamp.Incarnation > maxIncarnation || a.stamp.Member == 0 {
		return nil, errors.New("stamp is none")
	}
	if a.key.Owner == "" || a.key.Scope == "" || len(a.key.Owner) > registry.MaxName || len(a.key.Scope) > registry.MaxName {
		return nil, errors.New("key is none")
	}
	if a.gone {
		return a, nil
	}
	pub, err := catalog.DecodePublisher(a.key, set.GetPublisher())
	if err != nil {
		return nil, fmt.Errorf("publisher: %w", err)
	}
	pub.Free = a.free
	if n := len(set.GetInstances()); n > registry.MaxPublish {
		return nil, fmt.Errorf("%d instances", n)
	}
	a.held = &catalog.Held{Publisher: *pub, Instances: make([]registry.Registration, len(set.GetInstances()))}
	for i, in := range set.GetInstances() {
		if a.held.Instances[i], err = instanceIn(in); err != nil {
			return nil, fmt.Errorf("instance %d: %w", i, err)
		}
		if in.GetSilent() {
			if a.held.Silent == nil {
				a.held.Silent = make([]bool, len(set.GetInstances()))
			}
			a.held.Silent[i] = true
		}
	}
	return a, nil
}

// sizeOf is about how many bytes a set has on the wire.
func sizeOf(set *peerv1.DistroSet) int {
	n := 64 + len(set.GetKey().GetOwner()) + len(set.GetKey().GetScope()) + len(set.GetPublisher())
	for _, in := range set.GetInstances() {
		n += sizeOfInstance(in)
	}
	return n
}

func sizeOfInstance(in *peerv1.DistroInstance) int {
	return 40 + len(in.GetNamespace()) + len(in.GetGroup()) + len(in.GetService()) + len(in.GetSubset()) + len(in.GetId()) + len(in.GetRecord())
}
