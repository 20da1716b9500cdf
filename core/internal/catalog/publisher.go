package catalog

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// publisherKey tells ephemeral publishers from persistent ones: a key is refused
// to the second kind, but two members may not know of each other in time.
type publisherKey struct {
	registry.PublisherKey
	ephemeral bool
}

// publisher is one publisher with its instances, raw.
type publisher struct {
	pub *registry.Publisher // replaced by every change
	placements
}

func hashPublisher(k *publisherKey) uint64 { return maphash.Comparable(seed, *k) }

func (p *publisher) is(k *publisherKey) bool {
	return p.pub != nil && p.pub.Ephemeral == k.ephemeral && p.pub.Key == k.PublisherKey
}

func (p *publisher) hash() uint64 {
	return hashPublisher(&publisherKey{p.pub.Key, p.pub.Ephemeral})
}

// publisher finds a publisher, nil when absent.
func (e *Engine) publisher(k registry.PublisherKey, ephemeral bool) *publisher {
	key := publisherKey{k, ephemeral}
	return e.publishers.find(hashPublisher(&key), &key)
}

// placed is one instance in its service.
type placed struct {
	service  *service
	instance *registry.Instance
}

// placements is the instances of one publisher, sorted by service, subset and
// id. Most publishers have one.
type placements struct {
	one  placed
	more *[]placed // nil: at most one
}

// all is every placement. The slice is valid until the next change.
func (ps *placements) all() []placed {
	switch {
	case ps.more != nil:
		return *ps.more
	case ps.one.instance != nil:
		return []placed{ps.one}
	}
	return nil
}

func (ps *placements) len() int {
	if ps.more != nil {
		return len(*ps.more)
	}
	if ps.one.instance != nil {
		return 1
	}
	return 0
}

// ident names an instance inside its publisher.
type ident struct {
	service *service
	subset  string
	id      string // host:port when the instance has none
}

// compare orders a placement against a name.
func (p *placed) compare(k *ident) int {
	if p.service != k.service {
		return compareKeys(&p.service.key, &k.service.key)
	}
	return cmp.Or(strings.Compare(p.instance.Subset, k.subset), compareID(p.instance, k.id))
}

// compareID orders the id of an instance, host:port for one that has none,
// against another.
func compareID(in *registry.Instance, id string) int {
	if in.ID != "" {
		return strings.Compare(in.ID, id)
	}
	if host := in.Host; len(id) < len(host) || id[:len(host)] != host {
		return strings.Compare(host, id)
	}
	var room [8]byte
	port := strconv.AppendUint(append(room[:0], ':'), uint64(in.Port), 10)
	return strings.Compare(string(port), id[len(in.Host):])
}

// nameOf is the id of an instance on its way in.
func nameOf(id, host string, port uint16) string {
	if id != "" {
		return id
	}
	return host + ":" + strconv.FormatUint(uint64(port), 10)
}

// find returns the instance of a name, nil when absent.
func (ps *placements) find(k *ident) *placed {
	if ps.more != nil {
		if i, found := ps.place(k); found {
			return &(*ps.more)[i]
		}
		return nil
	}
	if ps.one.instance != nil && ps.one.compare(k) == 0 {
		return &ps.one
	}
	return nil
}

func (ps *placements) place(k *ident) (int, bool) {
	return slices.BinarySearchFunc(*ps.more, k, func(p placed, k *ident) int { return p.compare(k) })
}

// add puts an instance whose name is not there.
func (ps *placements) add(k *ident, in *registry.Instance) {
	p := placed{service: k.service, instance: in}
	switch {
	case ps.more != nil:
	case ps.one.instance == nil:
		ps.one = p
		return
	default:
		ps.more = &[]placed{ps.one}
		ps.one = placed{}
	}
	i, _ := ps.place(k)
	*ps.more = slices.Insert(*ps.more, i, p)
}

// cut removes those that match.
func (ps *placements) cut(match func(*placed) bool) {
	if ps.more != nil {
		*ps.more = slices.DeleteFunc(*ps.more, func(p placed) bool { return match(&p) })
		return
	}
	if ps.one.instance != nil && match(&ps.one) {
		ps.one = placed{}
	}
}

// in is the run of placements in one service.
func (ps *placements) in(s *service) []placed {
	if ps.more == nil {
		if ps.one.service == s {
			return ps.all()
		}
		return nil
	}
	compare := func(p placed, s *service) int { return compareKeys(&p.service.key, &s.key) }
	from, _ := slices.BinarySearchFunc(*ps.more, s, compare)
	to := from
	for to < len(*ps.more) && (*ps.more)[to].service == s {
		to++
	}
	return (*ps.more)[from:to]
}
