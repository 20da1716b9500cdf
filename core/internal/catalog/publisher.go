package catalog

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// publisher is one publisher with its instances, raw.
type publisher struct {
	pub *registry.Publisher // replaced by every change
	placements
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

// placed is one instance in its service.
type placed struct {
	service  *service
	instance *registry.Instance
}

// placements is the instances of one publisher, sorted by service, subset and
// id. Most publishers have one, and need nothing else.
type placements struct {
	one  placed
	rest *rest // nil: at most one, and no beats
}

// rest is what publishers have that are not like most.
type rest struct {
	list  []placed // nil: at most one
	beats beats
}

// more is the list of those that have one.
func (ps *placements) more() []placed {
	if ps.rest == nil {
		return nil
	}
	return ps.rest.list
}

// need returns the rest, to be filled.
func (ps *placements) need() *rest {
	if ps.rest == nil {
		ps.rest = new(rest)
	}
	return ps.rest
}

func (ps *placements) beats() beats {
	if ps.rest == nil {
		return nil
	}
	return ps.rest.beats
}

func (ps *placements) addBeat(k *ident, b *beat) {
	r := ps.need()
	i, _ := r.beats.place(k)
	r.beats = slices.Insert(r.beats, i, b)
}

// all is every placement. The slice is valid until the next change; what it
// points to is of the publisher only when it has more than one.
func (ps *placements) all() []placed {
	switch list := ps.more(); {
	case list != nil:
		return list
	case ps.one.instance != nil:
		return []placed{ps.one}
	}
	return nil
}

func (ps *placements) len() int {
	switch list := ps.more(); {
	case list != nil:
		return len(list)
	case ps.one.instance != nil:
		return 1
	}
	return 0
}

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

// find returns the instance of a name, nil when absent.
func (ps *placements) find(k *ident) *placed {
	if list := ps.more(); list != nil {
		if i, found := placeIn(list, k); found {
			return &list[i]
		}
		return nil
	}
	if ps.one.instance != nil && ps.one.compare(k) == 0 {
		return &ps.one
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
func (ps *placements) add(k *ident, in *registry.Instance) {
	p := placed{service: k.service, instance: in}
	list := ps.more()
	switch {
	case list != nil:
	case ps.one.instance == nil:
		ps.one = p
		return
	default:
		list = []placed{ps.one}
		ps.one = placed{}
	}
	i, _ := placeIn(list, k)
	ps.need().list = slices.Insert(list, i, p)
}

// cut removes those that match.
func (ps *placements) cut(match func(placed) bool) {
	if list := ps.more(); list != nil {
		ps.rest.list = slices.DeleteFunc(list, match)
		return
	}
	if ps.one.instance != nil && match(ps.one) {
		ps.one = placed{}
	}
}

// in is the run of placements in one service.
func (ps *placements) in(s *service) []placed {
	list := ps.more()
	if list == nil {
		if ps.one.service == s {
			return ps.all()
		}
		return nil
	}
	compare := func(p placed, s *service) int { return compareKeys(&p.service.key, &s.key) }
	from, _ := slices.BinarySearchFunc(list, s, compare)
	to := from
	for to < len(list) && list[to].service == s {
		to++
	}
	return list[from:to]
}

// name is the name of a placement.
func (p *placed) name() ident {
	in := p.instance
	return ident{p.service, in.Subset, in.ID, in.Host, in.Port}
}
