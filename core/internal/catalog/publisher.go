package catalog

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// publisher is one publisher with its instances, raw. There are many: it fits into
// 64 bytes.
type publisher struct {
	pub *registry.Publisher // replaced by every change
	placements
	prev, next *publisher // in the wheel; nil: not there
	due        uint32     // tick in which the wheel looks at it
}

// hashPublisher lets owners share: there are few.
func hashPublisher(k *registry.PublisherKey) uint64 {
	h := maphash.String(seed, k.Scope)
	return (h ^ uint64(len(k.Owner))) * mixer
}

func (p *publisher) hash() uint64 { return hashPublisher(&p.pub.Key) }

// publisher finds a publisher, nil when absent. A key is refused to the other
// kind, but two members may not know of each other in time: ephemeral ones and
// those of rows are looked up apart.
func (e *Engine) publisher(k registry.PublisherKey, ephemeral bool) *publisher {
	return e.publishers.find(hashPublisher(&k), func(p *publisher) bool {
		return p.pub.Ephemeral == ephemeral && p.pub.Key == k
	})
}

// placed is one instance in its service, and what is known of its beats.
type placed struct {
	service  *service
	instance *registry.Instance
	last     uint32 // tick of its last sign of life
	silent   bool   // Critical for its silence
}

// placements is the instances of one publisher, sorted by service, subset and
// id. Most publishers have one, and need no list.
type placements struct {
	one  [1]placed
	many *[]placed // nil: at most one
}

// all is every placement. The slice is valid until the next change.
func (ps *placements) all() []placed {
	switch {
	case ps.many != nil:
		return *ps.many
	case ps.one[0].instance != nil:
		return ps.one[:]
	}
	return nil
}

func (ps *placements) len() int { return len(ps.all()) }

// ident names an instance inside its publisher.
type ident struct {
	service *service
	subset  string
	id      string // blank: host:port
	host    string
	port    uint16
}

// compare orders a placement against a name.
func (p *placed) compare(k *ident) int {
	in := p.instance
	if p.service != k.service {
		return compareKeys(&p.service.key, &k.service.key)
	}
	if c := strings.Compare(in.Subset, k.subset); c != 0 {
		return c
	}
	return compareIDs(in.ID, in.Host, in.Port, k.id, k.host, k.port)
}

// compareIDs orders two ids, each of which is host:port when it is blank. It
// joins nothing on the heap.
func compareIDs(aID, aHost string, aPort uint16, bID, bHost string, bPort uint16) int {
	switch {
	case aID != "" && bID != "":
		return strings.Compare(aID, bID)
	case aID == "" && bID == "" && aHost == bHost && aPort == bPort:
		return 0
	}
	var aRoom, bRoom [64]byte
	a, b := appendID(aRoom[:0], aID, aHost, aPort), appendID(bRoom[:0], bID, bHost, bPort)
	return bytes.Compare(a, b)
}

func appendID(dst []byte, id, host string, port uint16) []byte {
	if id != "" {
		return append(dst, id...)
	}
	return strconv.AppendUint(append(append(dst, host...), ':'), uint64(port), 10)
}

// HostPort names an instance that has no id.
func HostPort(host string, port uint16) string { return string(appendID(nil, "", host, port)) }

// find returns the instance of a name, nil when absent. What it points to is the
// publisher's until the next change.
func (ps *placements) find(k *ident) *placed {
	all := ps.all()
	if i, found := placeIn(all, k); found {
		return &all[i]
	}
	return nil
}

func placeIn(list []placed, k *ident) (int, bool) {
	return search(len(list), func(i int) int { return list[i].compare(k) })
}

// search finds where compare turns from negative: slices.BinarySearchFunc, but
// what compare knows stays off the heap.
func search(n int, compare func(i int) int) (at int, found bool) {
	low, high := 0, n
	for low < high {
		mid := int(uint(low+high) >> 1)
		if c := compare(mid); c < 0 {
			low = mid + 1
		} else {
			high = mid
			found = found || c == 0
		}
	}
	return low, found
}

// add puts an instance whose name is not there.
func (ps *placements) add(k *ident, in *registry.Instance) *placed {
	p := placed{service: k.service, instance: in}
	switch {
	case ps.many != nil:
	case ps.one[0].instance == nil:
		ps.one[0] = p
		return &ps.one[0]
	default:
		ps.many = &[]placed{ps.one[0]}
		ps.one[0] = placed{}
	}
	i, _ := placeIn(*ps.many, k)
	*ps.many = slices.Insert(*ps.many, i, p)
	return &(*ps.many)[i]
}

// cut removes those that match. It asks for each once, in their order.
func (ps *placements) cut(match func(*placed) bool) {
	if ps.many == nil {
		if one := &ps.one[0]; one.instance != nil && match(one) {
			*one = placed{}
		}
		return
	}
	list := *ps.many
	kept := list[:0]
	for i := range list {
		if !match(&list[i]) {
			kept = append(kept, list[i])
		}
	}
	clear(list[len(kept):])
	*ps.many = kept
}

// in is the run of placements in one service.
func (ps *placements) in(s *service) []placed {
	list := ps.all()
	compare := func(p placed, s *service) int { return compareKeys(&p.service.key, &s.key) }
	from, _ := slices.BinarySearchFunc(list, s, compare)
	to := from
	for to < len(list) && list[to].service == s {
		to++
	}
	return list[from:to]
}
