package conf

// table finds keys by their name and by every alias.
type table struct {
	keys  []Key
	index map[string]*Key
}

func newTable() *table {
	t := &table{keys: Keys(), index: map[string]*Key{}}
	for i := range t.keys {
		k := &t.keys[i]
		t.index[k.Name] = k
		for _, a := range k.Aliases {
			t.index[a] = k
		}
	}
	return t
}

func (t *table) byName(name string) *Key { return t.index[name] }

func (t *table) names() []string {
	names := make([]string, 0, len(t.keys))
	for i := range t.keys {
		names = append(names, t.keys[i].Name)
	}
	return names
}
