package naming

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	"github.com/easynet-cn/batata/core/registry"
)

// The forms of an instance id that is kept beside an instance, as the first byte
// of the plugin's own part. Without one the id is made from the address.
const (
	idNone  = 'n' // the instance shows none
	idGiven = 'i' // the rest is the id
)

// ext is what is kept beside the instance; nil for nearly all.
func (in *Instance) ext() []byte {
	switch {
	case in.NoID:
		return []byte{idNone}
	case in.ID != "":
		return append([]byte{idGiven}, in.ID...)
	}
	return nil
}

// number gives the instance an id of its own when its metadata asks for one
// (NAC-NAM-01). The same client gets the same number again, so that repeating a
// registration changes nothing (NAC-CON-39).
func (in *Instance) number(c Client, k registry.ServiceKey) {
	if in.ID != "" || in.NoID {
		return
	}
	if g, _ := in.Metadata.Get(metaGenerator); g != generatorSnowflake {
		return
	}
	h := fnv.New64a()
	for _, part := range [...]string{c.ID, k.Namespace, in.IP, strconv.Itoa(int(in.Port))} {
		_, _ = h.Write([]byte(part)) // cannot fail
		_, _ = h.Write([]byte{0})
	}
	in.ID = strconv.FormatUint(h.Sum64()>>1, 10) + "#" + ClusterOf(in.Cluster) + "#" + Grouped(k)
}

// extOf is the part that owner keeps, nil when there is none.
func extOf(es []registry.Ext, owner string) []byte {
	for i := range es {
		if es[i].Owner == owner {
			return es[i].Data
		}
	}
	return nil
}

// serviceExt is what Nacos keeps beside the settings of a service.
type serviceExt struct {
	// Kind is fixed by the one who created the service (NAD-NSEM-50); zero when
	// the settings came after its instances.
	Kind Kind `json:"kind,omitempty"`
	// Checkers are the health checkers of clusters as they were given.
	Checkers map[string]Checker `json:"checkers,omitempty"`
}

func serviceExtOf(s *registry.Service, owner string) (x serviceExt) {
	if s == nil {
		return x
	}
	if b := extOf(s.Ext, owner); len(b) > 0 && json.Unmarshal(b, &x) != nil {
		return serviceExt{} // written by a newer release: none of it
	}
	return x
}

func (x *serviceExt) bytes() []byte {
	b, err := json.Marshal(x)
	if err != nil {
		return []byte("{}") // cannot be: texts and numbers
	}
	return b
}

// Kind is whether a service holds ephemeral or persistent instances.
type Kind uint8

// The kinds. Zero is not fixed.
const (
	Ephemeral Kind = iota + 1
	Persistent
)

// String is the word that clients are told.
func (k Kind) String() string {
	if k == Persistent {
		return "persistent"
	}
	return "ephemeral"
}
