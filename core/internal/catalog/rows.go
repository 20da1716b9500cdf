package catalog

import (
	"github.com/easynet-cn/batata/core/internal/fields"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/registry"
)

// The tables of the registry, all owned by Owner (CTR-M11). Instances are keyed
// by publisher: all of a scope is one prefix, and what a service has is known
// from memory.
const (
	Owner          = "core"
	TablePublisher = "reg_pub"
	TableInstance  = "reg_inst"
	TableService   = "reg_svc"
	TableOverride  = "reg_over"
)

// Tables declares them.
func Tables() []kv.TableSpec {
	return []kv.TableSpec{
		{Name: TablePublisher, Residency: kv.Hot},
		{Name: TableInstance, Residency: kv.Hot},
		{Name: TableService, Residency: kv.Hot},
		{Name: TableOverride, Residency: kv.Hot},
	}
}

// rowFormat is the first byte of every row; fields follow.
const rowFormat = 1

var errRow = fields.ErrMalformed

func newRow(room int) fields.Writer {
	return fields.Writer{B: append(make([]byte, 0, room), rowFormat)}
}

func body(row []byte) ([]byte, error) {
	if len(row) == 0 || row[0] != rowFormat {
		return nil, errRow
	}
	return row[1:], nil
}

func appendTexts(texts ...string) []byte {
	room := 0
	for _, s := range texts {
		room += len(s) + 2 // what ends a text
	}
	key := make([]byte, 0, room)
	for _, s := range texts {
		key = tuple.AppendString(key, s)
	}
	return key
}

// RowOfPublisher is the key of a publisher's row, and the prefix of the rows of
// its instances.
func RowOfPublisher(k *registry.PublisherKey) []byte { return appendTexts(k.Owner, k.Scope) }

// RowsInService is the prefix of the rows of a publisher in a service.
func RowsInService(p *registry.PublisherKey, s *registry.ServiceKey) []byte {
	return appendTexts(p.Owner, p.Scope, s.Namespace, s.Group, s.Name)
}

// RowsInSubset is the prefix of the rows of a publisher in a subset.
func RowsInSubset(p *registry.PublisherKey, s *registry.ServiceKey, subset string) []byte {
	return appendTexts(p.Owner, p.Scope, s.Namespace, s.Group, s.Name, subset)
}

// RowOfInstance is the key of an instance; one without an id is named host:port.
func RowOfInstance(p *registry.PublisherKey, s *registry.ServiceKey, subset, id string) []byte {
	return appendTexts(p.Owner, p.Scope, s.Namespace, s.Group, s.Name, subset, id)
}

// RowOfService is the key of the settings of a service.
func RowOfService(s *registry.ServiceKey) []byte { return appendTexts(s.Namespace, s.Group, s.Name) }

// RowOfOverride is the key of an override.
func RowOfOverride(o *registry.Override) []byte {
	k := &o.Service
	return tuple.AppendUint64(appendTexts(k.Namespace, k.Group, k.Name, o.Subset, o.Host), uint64(o.Port))
}

// readTexts fills texts from a key that begins with so many.
func readTexts(key []byte, texts ...*string) (rest []byte, err error) {
	for _, t := range texts {
		if *t, key, err = tuple.String(key); err != nil {
			return nil, err
		}
	}
	return key, nil
}

func parsePublisherRow(key []byte) (k registry.PublisherKey, err error) {
	rest, err := readTexts(key, &k.Owner, &k.Scope)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return k, err
}

// parseInstanceRow reads the key of an instance; ID is its name.
func parseInstanceRow(key []byte) (k registry.InstanceKey, err error) {
	p, s := &k.Publisher, &k.Service
	rest, err := readTexts(key, &p.Owner, &p.Scope, &s.Namespace, &s.Group, &s.Name, &k.Subset, &k.ID)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return k, err
}

func parseServiceRow(key []byte) (k registry.ServiceKey, err error) {
	rest, err := readTexts(key, &k.Namespace, &k.Group, &k.Name)
	if err == nil && len(rest) > 0 {
		err = errRow
	}
	return k, err
}

func parseOverrideRow(key []byte) (k overrideKey, err error) {
	s := &k.service
	rest, err := readTexts(key, &s.Namespace, &s.Group, &s.Name, &k.subset, &k.host)
	if err != nil {
		return k, err
	}
	port, rest, err := tuple.Uint64(rest)
	if err == nil && (len(rest) > 0 || port > 1<<16-1) {
		err = errRow
	}
	k.port = uint16(port)
	return k, err
}

// overrideKey names what an override is laid over.
type overrideKey struct {
	service      registry.ServiceKey
	subset, host string
	port         uint16
}
