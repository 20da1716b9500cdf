package naming

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/easynet-cn/batata/core/registry"
)

// view is an instance as clients see it, apart from health and rotation.
type view struct {
	id     string
	hasID  bool
	weight float64
	meta   registry.Pairs
}

// viewOf applies the rules for what other protocols registered (BRG-HLT,
// BRG-MET-06) and for instance ids (NAC-NAM-01, BRG-NAC-04).
func (s *Service) viewOf(k registry.ServiceKey, e *registry.Endpoint) view {
	v := view{hasID: true, weight: e.Weight, meta: e.Meta}
	native := s.own(e)
	if !native {
		v.weight, v.meta = foreignView(e)
	} else if e.Rare != nil {
		if x := extOf(e.Rare.Ext, s.owner); len(x) > 0 {
			switch x[0] {
			case idNone:
				v.hasID = false
				return v
			case idGiven:
				v.id = string(x[1:])
				return v
			}
		}
	}
	v.id = e.Host + "#" + strconv.Itoa(int(e.Port)) + "#" + e.Subset + "#" + Grouped(k)
	return v
}

// The marks of what other protocols registered (BRG-MET-01).
const (
	metaSource   = "batata.io/source"
	metaTags     = "batata.io/tags"
	metaDraining = "preserved.draining"

	maxForeignWeight = 10_000 // BRG-HLT-12
)

func foreignView(e *registry.Endpoint) (float64, registry.Pairs) {
	weight := e.Weight
	added := registry.Pairs{{Key: metaSource, Value: e.Publisher.Key.Owner}}
	free := registry.Pairs{} // where the key is free
	if l := localityOf(e); l != nil {
		free = registry.PairsOf(nonBlank(map[string]string{"region": l.Region, "zone": l.Zone}))
	}
	if r := e.Rare; r != nil {
		if e.Health == registry.Warning && r.Warn != nil {
			weight = *r.Warn
		}
		if len(r.Tags) > 0 {
			added = append(added, registry.Pair{Key: metaTags, Value: tagsText(r.Tags)})
		}
		if r.Drain {
			weight = 0
			added = append(added, registry.Pair{Key: metaDraining, Value: "true"})
		}
	}
	return min(weight, maxForeignWeight), free.Over(e.Meta).Over(added)
}

func nonBlank(m map[string]string) map[string]string {
	for k, v := range m {
		if v == "" {
			delete(m, k)
		}
	}
	return m
}

func localityOf(e *registry.Endpoint) *registry.Locality {
	if e.Rare != nil && e.Rare.Locality != nil {
		return e.Rare.Locality
	}
	if e.Publisher.Info != nil {
		return e.Publisher.Info.Locality
	}
	return nil
}

// tagsText joins tags by commas, as a JSON array when one holds a comma.
func tagsText(tags []string) string {
	for _, t := range tags {
		if strings.Contains(t, ",") {
			b, err := json.Marshal(tags)
			if err == nil {
				return string(b)
			}
		}
	}
	return strings.Join(tags, ",")
}

// AppendHost appends the instance at index i as a JSON object: the two halves of
// its fragment, and between them what depends on the moment.
func (l *List) AppendHost(dst []byte, i int) []byte {
	e := &l.Endpoints[i]
	ephemeral := l.kind == Ephemeral // BRG-NAC-05
	if l.service.own(e) {
		ephemeral = e.Publisher.Ephemeral
	}
	f := l.service.fragmentOf(l.Key, e)
	n := binary.BigEndian.Uint32(f)
	head, tail := f[4:4+n], f[4+n:]
	dst = append(dst, head...)
	dst = append(dst, `"healthy":`...)
	dst = strconv.AppendBool(dst, l.Protected || Healthy(e))
	dst = append(dst, `,"enabled":`...)
	dst = strconv.AppendBool(dst, enabled(e))
	dst = append(dst, `,"ephemeral":`...)
	dst = strconv.AppendBool(dst, ephemeral)
	return append(dst, tail...)
}

// fragmentOf is the JSON of an instance in two halves, behind the length of the
// first.
func (s *Service) fragmentOf(k registry.ServiceKey, e *registry.Endpoint) []byte {
	if !s.own(e) {
		// It depends on more than the instance.
		return appendFragment(nil, k, e, s.viewOf(k, e))
	}
	if b := e.Memo.Load(s.fragment); b != nil {
		return b
	}
	var room [1024]byte
	b := appendFragment(room[:0], k, e, s.viewOf(k, e))
	return e.Memo.Store(s.fragment, append([]byte(nil), b...))
}

func appendFragment(dst []byte, k registry.ServiceKey, e *registry.Endpoint, v view) []byte {
	dst = append(dst, 0, 0, 0, 0, '{')
	if v.hasID {
		dst = append(dst, `"instanceId":`...)
		dst = appendString(dst, v.id)
		dst = append(dst, ',')
	}
	dst = append(dst, `"ip":`...)
	dst = appendString(dst, e.Host)
	dst = append(dst, `,"port":`...)
	dst = strconv.AppendUint(dst, uint64(e.Port), 10)
	dst = append(dst, `,"weight":`...)
	dst = appendFloat(dst, v.weight)
	dst = append(dst, ',')
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-4))

	dst = append(dst, `,"clusterName":`...)
	dst = appendString(dst, e.Subset)
	dst = append(dst, `,"serviceName":`...)
	dst = appendString(dst, Grouped(k))
	dst = append(dst, `,"metadata":`...)
	dst = appendPairs(dst, v.meta)
	t := timesOf(v.meta)
	for _, f := range [...]struct {
		key   string
		value int64
	}{
		{`,"instanceHeartBeatInterval":`, t.interval},
		{`,"instanceHeartBeatTimeOut":`, t.timeout},
		{`,"ipDeleteTimeout":`, t.remove},
	} {
		dst = append(dst, f.key...)
		dst = strconv.AppendInt(dst, f.value, 10)
	}
	if g := generatorOf(v.meta); g != "" { // NAC-NAM-08
		dst = append(dst, `,"instanceIdGenerator":`...)
		dst = appendString(dst, g)
	}
	return append(dst, '}')
}

func generatorOf(m registry.Pairs) string {
	if len(m) == 0 {
		return generatorSimple
	}
	g, _ := m.Get(metaGenerator)
	return g
}

func appendPairs(dst []byte, m registry.Pairs) []byte {
	dst = append(dst, '{')
	for i := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m[i].Key)
		dst = append(dst, ':')
		dst = appendString(dst, m[i].Value)
	}
	return append(dst, '}')
}

// appendString appends what encoding/json writes for s.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			b, err := json.Marshal(s)
			if err != nil {
				b = []byte(`""`) // cannot be: a text
			}
			return append(dst, b...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendFloat appends what encoding/json writes for f, which is finite.
func appendFloat(dst []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		b, err := json.Marshal(f)
		if err != nil {
			b = []byte("0") // cannot be: it is finite
		}
		return append(dst, b...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
