package catalog

import "github.com/easynet-cn/batata/core/registry"

// Records of one process registered twice (CTR-M02). In a service of one plugin
// they lie beside each other, so that each change looks at its neighbours. Where
// several plugins have instances the same process may lie anywhere: the whole
// list is judged once, by the first reader after a change.

// run is the records beside i that have its origin, subset, host and port.
func (s *service) run(i int) (from, to int) {
	in := s.list[i].Instance
	from, to = i, i+1
	for from > 0 && sameEndpoint(s.list[from-1].Instance, in) {
		from--
	}
	for to < len(s.list) && sameEndpoint(s.list[to].Instance, in) {
		to++
	}
	return from, to
}

func sameEndpoint(a, b *registry.Instance) bool {
	return a.Port == b.Port && a.Host == b.Host && a.Subset == b.Subset && origin(a.Publisher) == origin(b.Publisher)
}

// judge marks the duplicates around a place of a list that was changed.
func (s *service) judge(i int) {
	if s.owners > ownerOne {
		s.owners = ownerFresh
		return
	}
	if i >= len(s.list) {
		return
	}
	from, to := s.run(i)
	s.elect(from, to, func(i int) int { return i + 1 })
}

// elect marks all records but the best of those from i on, up to end.
func (s *service) elect(i, end int, next func(int) int) {
	best := i
	for j := next(i); j != end && j >= 0; j = next(j) {
		if registry.Better(&s.list[j], &s.list[best]) {
			best = j
		}
	}
	for j := i; j != end && j >= 0; j = next(j) {
		s.list[j].Duplicate = j != best
	}
}

// process is where one process listens, whatever the spelling (BRG-DUP-01).
type process struct {
	origin, address string
	port            uint16
}

// group is the records of one process: a chain through the list.
type group struct {
	first, last int
	owner       string
	many        bool // of several plugins
}

// judgeAll marks the duplicates of a service in which several plugins have
// instances. Those of one process have one representative, whatever their
// subsets; but where all are of one plugin, each subset has its own.
func (e *Engine) judgeAll(s *service) {
	s.owners = ownerMany
	s.own(0)
	next := make([]int, len(s.list))
	groups := make(map[process]*group, len(s.list))
	for i := range s.list {
		in := s.list[i].Instance
		s.list[i].Duplicate, next[i] = false, -1
		k := process{origin(in.Publisher), registry.Address(in.Host), in.Port}
		g := groups[k]
		if g == nil {
			groups[k] = &group{first: i, last: i, owner: in.Publisher.Key.Owner}
			continue
		}
		next[g.last], g.last = i, i
		g.many = g.many || g.owner != in.Publisher.Key.Owner
	}
	follow := func(i int) int { return next[i] }
	for _, g := range groups {
		e.mark(s, g, follow)
		switch {
		case g.many:
			s.elect(g.first, -1, follow)
		case g.first != g.last:
			for i := g.first; i >= 0; i = next[i] {
				from, to := s.run(i)
				if i == from {
					s.elect(from, to, func(i int) int { return i + 1 })
				}
			}
		}
	}
}

// mark flags what a tool copied in, beside a record of another plugin
// (BRG-DUP-07).
func (e *Engine) mark(s *service, g *group, next func(int) int) {
	for i := g.first; i >= 0; i = next(i) {
		end := &s.list[i]
		if !copied(end.Meta) {
			continue
		}
		fresh := e.endpoint(s, e.raw(s, end.Instance))
		if g.many && (fresh.Rare == nil || !fresh.Rare.Transit) {
			in := withPublisher(fresh.Instance, fresh.Publisher)
			in.Rare = cloneRare(in.Rare)
			in.Rare.Transit = true
			fresh.Instance = in
		}
		if was := end.Rare != nil && end.Rare.Transit; was != (fresh.Rare != nil && fresh.Rare.Transit) {
			*end = fresh
		}
	}
}

// The marks that views of this server put on records of other plugins, and that
// copying tools bring along; and those that tools put on what they copy.
const (
	markSource = "batata.io/source"
	markShort  = "batata-source"
)

func shown(p registry.Pairs) bool {
	for i := range p {
		if p[i].Key == markSource || p[i].Key == markShort {
			return true
		}
	}
	return false
}

func copied(m registry.Meta) bool {
	for key := range m.All() {
		switch key {
		case "syncSource", "sourceClusterId", "external-source":
			return true
		}
	}
	return false
}
