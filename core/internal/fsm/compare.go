package fsm

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/easynet-cn/batata/core/kv"
)

// compare evaluates every compare and returns those that do not hold.
func (m *Machine) compare(cs []kv.Compare) (failed []int, err error) {
	for i := range cs {
		holds, err := m.holds(&cs[i])
		if err == nil {
			err = m.fatal
		}
		if err != nil {
			return nil, err
		}
		if !holds {
			failed = append(failed, i)
		}
	}
	return failed, nil
}

func (m *Machine) holds(c *kv.Compare) (bool, error) {
	if c.Target == kv.Newest {
		newest, err := m.newest(view(c.Key))
		return related(cmp.Compare(uint64(newest), c.Num), c.Rel), err
	}
	r, err := m.read(c.Key)
	if err != nil {
		return false, err
	}
	if r == nil {
		r = &kv.Record{}
	}
	switch c.Target {
	case kv.Value:
		return related(bytes.Compare(r.Value, c.Bytes), c.Rel), nil
	case kv.Created:
		return related(cmp.Compare(uint64(r.Created), c.Num), c.Rel), nil
	case kv.Lease:
		return related(cmp.Compare(uint64(r.Lease), c.Num), c.Rel), nil
	default:
		return related(cmp.Compare(uint64(r.Modified), c.Num), c.Rel), nil
	}
}

// read returns a hot or cold row, nil when absent.
func (m *Machine) read(abs []byte) (*kv.Record, error) {
	id, _, _ := SplitKey(abs)
	if table, _ := m.tables.ByID(id); table.Residency == kv.Cold {
		return m.readCold(view(abs))
	}
	r, _ := m.hot.Get(view(abs))
	return r, nil
}

func (m *Machine) newest(prefix string) (kv.Revision, error) {
	var newest kv.Revision
	walked := 0
	m.hot.Ascend(prefix, func(abs string, r *kv.Record) bool {
		if !strings.HasPrefix(abs, prefix) {
			return false
		}
		newest = max(newest, r.Modified)
		walked++
		return walked <= kv.MaxNewest
	})
	if walked > kv.MaxNewest {
		return 0, tooMany("compare newest", kv.MaxNewest)
	}
	return newest, nil
}

func related(order int, rel kv.Relation) bool {
	switch rel {
	case kv.Equal:
		return order == 0
	case kv.NotEqual:
		return order != 0
	case kv.AtMost:
		return order <= 0
	default:
		return order >= 0
	}
}
