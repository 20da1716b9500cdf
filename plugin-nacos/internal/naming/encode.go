package naming

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/easynet-cn/batata/core/registry"
)

// view is an instance as clients see it, apart from health and rotation.
type view struct {
	form   byte   // of its id: idNone, idGiven, or 0: made from the address
	given  string // the id that was given
	weight float64
	meta   registry.Meta
}

// viewOf applies the rules for what other protocols registered (BRG-HLT,
// BRG-MET-06) and for instance ids (NAC-NAM-01, BRG-NAC-04).
func (s *Service) viewOf(e *registry.Endpoint) view {
	v := view{weight: e.Weight, meta: e.Meta}
	if !s.own(e) {
		v.weight, v.meta = foreignView(e)
		return v
	}
	if e.Rare != nil {
		if x := extOf(e.Rare.Ext, s.owner); len(x) > 0 {
			v.form, v.given = x[0], string(x[1:])
		}
	}
	return v
}

// id is the text of the id of an instance; blank when it shows none.
func (v *view) id(k registry.ServiceKey, e *registry.Endpoint) string {
	switch v.form {
	case idNone:
		return ""
	case idGiven:
		return v.given
	}
	return e.Host + "#" + strconv.Itoa(int(e.Port)) + "#" + e.Subset + "#" + Grouped(k)
}

// The marks of what other protocols registered (BRG-MET-01).
const (
	metaSource   = "batata.io/source"
	metaTags     = "batata.io/tags"
	metaDraining = "preserved.draining"

	maxForeignWeight = 10_000 // BRG-HLT-12
)

func foreignView(e *registry.Endpoint) (float64, registry.Meta) {
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
	return min(weight, maxForeignWeight), registry.MetaOf(free.Over(e.Meta.Pairs()).Over(added))
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

// AppendHost appends the instance at index i as a JSON object.
func (l *List) AppendHost(dst []byte, i int) []byte {
	var p parts
	return l.appendHost(dst, i, appendInner(nil, Grouped(l.Key)), &p)
}

// appendHost appends an instance of a service whose grouped name is encoded.
func (l *List) appendHost(dst []byte, i int, grouped []byte, p *parts) []byte {
	e := &l.Endpoints[i]
	ephemeral := l.kind == Ephemeral // BRG-NAC-05
	if l.service.own(e) {
		ephemeral = e.Publisher.Ephemeral
	}
	v := l.service.viewOf(e)
	p[0] = len(dst)
	dst = append(dst, '{')
	dst = v.appendID(dst, e, grouped)
	p[1] = len(dst)
	dst = append(dst, `"ip":`...)
	dst = appendString(dst, e.Host)
	p[2] = len(dst)
	dst = append(dst, `,"port":`...)
	dst = strconv.AppendUint(dst, uint64(e.Port), 10)
	dst = append(dst, `,"weight":`...)
	dst = appendFloat(dst, v.weight)
	dst = append(dst, `,"healthy":`...)
	dst = strconv.AppendBool(dst, l.Protected || Healthy(e))
	dst = append(dst, `,"enabled":`...)
	dst = strconv.AppendBool(dst, enabled(e))
	dst = append(dst, `,"ephemeral":`...)
	dst = strconv.AppendBool(dst, ephemeral)
	dst = append(dst, `,"clusterName":`...)
	dst = appendString(dst, e.Subset)
	dst = append(dst, `,"serviceName":"`...)
	dst = append(append(dst, grouped...), '"')
	p[3] = len(dst)
	dst = append(appendMeta(append(dst, `,"metadata":`...), v.meta), '}')
	p[4] = len(dst)
	return dst
}

// appendID appends the id of an instance as the first member of its object.
func (v *view) appendID(dst []byte, e *registry.Endpoint, grouped []byte) []byte {
	switch v.form {
	case idNone:
		return dst
	case idGiven:
		return append(appendString(append(dst, `"instanceId":`...), v.given), ',')
	}
	dst = append(appendInner(append(dst, `"instanceId":"`...), e.Host), '#')
	dst = append(strconv.AppendUint(dst, uint64(e.Port), 10), '#')
	dst = append(appendInner(dst, e.Subset), '#')
	return append(append(dst, grouped...), `",`...)
}

// appendMeta appends metadata and what it says about the instance.
func appendMeta(dst []byte, m registry.Meta) []byte {
	dst = append(dst, '{')
	t, generator, n := defaults, "", 0
	for key, value := range m.All() {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, key)
		dst = append(dst, ':')
		dst = appendString(dst, value)
		if t.read(key, value); key == metaGenerator { // NAC-NAM-08
			generator = value
		}
		n++
	}
	if n == 0 {
		generator = generatorSimple
	}
	if t == defaults { // nearly all
		dst = append(dst, `},"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000`...)
	} else {
		dst = strconv.AppendInt(append(dst, `},"instanceHeartBeatInterval":`...), t.interval, 10)
		dst = strconv.AppendInt(append(dst, `,"instanceHeartBeatTimeOut":`...), t.timeout, 10)
		dst = strconv.AppendInt(append(dst, `,"ipDeleteTimeout":`...), t.remove, 10)
	}
	if generator != "" {
		dst = append(dst, `,"instanceIdGenerator":`...)
		dst = appendString(dst, generator)
	}
	return dst
}

// appendString appends what encoding/json writes for s.
func appendString(dst []byte, s string) []byte {
	return append(appendInner(append(dst, '"'), s), '"')
}

// appendInner is appendString without the quotes.
func appendInner(dst []byte, s string) []byte {
	for i := range len(s) {
		if escaped[s[i]] {
			b, err := json.Marshal(s)
			if err != nil {
				return dst // cannot be: a text
			}
			return append(dst, b[1:len(b)-1]...)
		}
	}
	return append(dst, s...)
}

// escaped are the bytes that encoding/json does not write as they are.
var escaped = func() (t [256]bool) { //nolint:gochecknoglobals // a constant that Go cannot say
	for c := range t {
		t[c] = c < ' ' || c >= utf8.RuneSelf || strings.ContainsRune(`"\<>&`, rune(c))
	}
	return t
}()

// appendFloat appends what encoding/json writes for f, which is finite.
func appendFloat(dst []byte, f float64) []byte {
	if f == 1 { // nearly all
		return append(dst, '1')
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		b, err := json.Marshal(f)
		if err != nil {
			b = []byte("0") // cannot be: it is finite
		}
		return append(dst, b...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
