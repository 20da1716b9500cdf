package catalog

// touched is the services that one call changed, each once.
type touched struct {
	first *service // most calls change one
	last  *service
	set   map[*service]struct{}
	rest  []*service
}

func (t *touched) add(s *service) {
	switch {
	case t.last == s || t.first == s:
		return
	case t.first == nil:
		t.first, t.last = s, s
		return
	case t.set == nil:
		t.set = make(map[*service]struct{})
	}
	t.last = s
	if _, had := t.set[s]; !had {
		t.set[s] = struct{}{}
		t.rest = append(t.rest, s)
	}
}

func (t *touched) all(fn func(*service)) {
	if t.first != nil {
		fn(t.first)
	}
	for _, s := range t.rest {
		fn(s)
	}
}
