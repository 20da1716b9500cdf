package registry

import "slices"

// Selection says which endpoints of a snapshot a caller gets.
type Selection struct {
	Subsets []string // empty: all
	// Enabled leaves out what is in Maintenance.
	Enabled bool
	// Healthy leaves out what is neither Passing nor Warning.
	Healthy bool
	// Duplicates keeps endpoints that another record represents. A protocol that
	// shows all of its own sets Own to its plugin name instead.
	Duplicates bool
	Own        string // keep duplicates of this owner
}

// Select returns the endpoints that a selection keeps, in the order of the
// snapshot. When nothing is left out it is the snapshot's own slice, which must
// not be changed; else it is appended to dst[:0].
func Select(dst []Endpoint, s *Snapshot, sel *Selection) []Endpoint {
	first := -1
	for i := range s.Endpoints {
		if !sel.keeps(&s.Endpoints[i]) {
			first = i
			break
		}
	}
	if first < 0 {
		return s.Endpoints
	}
	dst = append(dst[:0], s.Endpoints[:first]...)
	for i := first + 1; i < len(s.Endpoints); i++ {
		if sel.keeps(&s.Endpoints[i]) {
			dst = append(dst, s.Endpoints[i])
		}
	}
	return dst
}

func (sel *Selection) keeps(e *Endpoint) bool {
	switch {
	case sel.Enabled && e.Health == Maintenance,
		sel.Healthy && e.Health > Warning,
		e.Duplicate && !sel.Duplicates && (sel.Own == "" || e.Publisher.Key.Owner != sel.Own):
		return false
	}
	return len(sel.Subsets) == 0 || slices.Contains(sel.Subsets, e.Subset)
}

// Protected says whether so few of n endpoints are healthy that all should be
// used: at or below the threshold (ARC-A05). It is judged when read and never
// stored; a service without endpoints is never protected.
func Protected(es []Endpoint, threshold float64) bool {
	healthy := 0
	for i := range es {
		if es[i].Health <= Warning {
			healthy++
		}
	}
	return len(es) > 0 && float64(healthy)/float64(len(es)) <= threshold
}
