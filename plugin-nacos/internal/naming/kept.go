package naming

import (
	"bytes"
	"encoding/binary"

	"github.com/easynet-cn/batata/core/registry"
)

// kept is the list that callers without a filter are answered, as the memo of a
// snapshot keeps it, and what its hosts have in common. The JSON of a long list is
// kept as it is, to be shared by all who are answered, with where each host ends in
// it. That of others is kept as what tells each host from the one before it, a fifth
// of it or less, since there are many of them and a copy costs little.
type kept []byte

const (
	keptPlain     = 1 << iota // they are all endpoints of the snapshot, in its order
	keptHealthy               // none is left out for its health
	keptAlike                 // they are of one cluster
	keptProtected             // shown as healthy, all of them
	keptLong                  // kept as it is

	keptTail = 4 + 4 + 1 // how many there are, the length of the JSON, the flags
)

// long is the length from which JSON is kept as it is.
const long = 64 << 10

// keep renders a whole list for all who are answered the same.
func (l *List) keep() kept {
	n := len(l.Endpoints)
	hosts := make([]parts, 0, n)
	b := l.appendHosts(nil, func(p *parts) { hosts = append(hosts, *p) })
	flags := l.common()
	var body []byte
	if len(b) >= long {
		flags |= keptLong
		for i := range hosts {
			body = binary.LittleEndian.AppendUint32(body, uint32(hosts[i].end()))
		}
		body = append(b, body...)
	} else {
		var before rendered
		for i := range hosts {
			this := rendered{b, &hosts[i]}
			body = appendDifference(body, before, this)
			before = this
		}
	}
	body = binary.LittleEndian.AppendUint32(body, uint32(n))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(b)))
	return l.Snapshot.Memo.Store(l.service.hosts, bytes.Clone(append(body, flags)))
}

// common is the flags of a whole list.
func (l *List) common() byte {
	es := l.Endpoints
	flags := byte(keptHealthy | keptAlike)
	if len(es) > 0 && len(es) == len(l.Snapshot.Endpoints) && &es[0] == &l.Snapshot.Endpoints[0] {
		flags |= keptPlain
	}
	for i := range es {
		if es[i].Health > registry.Warning {
			flags &^= keptHealthy
		}
		if es[i].Subset != es[0].Subset {
			flags &^= keptAlike
		}
	}
	if l.Protected {
		flags |= keptProtected
	}
	return flags
}

// kept is the list of a snapshot, nil when nobody has asked for it.
func (s *Service) kept(snap *registry.Snapshot) kept {
	if s.hosts == 0 {
		return nil
	}
	return snap.Memo.Load(s.hosts)
}

func (k kept) is(flag byte) bool { return k[len(k)-1]&flag != 0 }

// sees says whether a query is answered all endpoints of a snapshot, as they are,
// as far as the list that is kept of it tells.
func (k kept) sees(snap *registry.Snapshot, q *Query) bool {
	return k != nil && k.is(keptPlain) && !q.Disabled && (!q.HealthyOnly || k.is(keptHealthy)) &&
		(q.Clusters == "" || k.is(keptAlike) && q.Clusters == snap.Endpoints[0].Subset)
}

func (k kept) len() int  { return int(binary.LittleEndian.Uint32(k[len(k)-keptTail:])) }
func (k kept) size() int { return int(binary.LittleEndian.Uint32(k[len(k)-keptTail+4:])) }

// shared is the JSON array of a long list, which must not be changed.
func (k kept) shared() []byte { return k[:k.size():k.size()] }

// append appends the JSON array.
func (k kept) append(dst []byte) []byte {
	if k.is(keptLong) {
		return append(dst, k.shared()...)
	}
	dst = append(dst, '[')
	var before []byte
	from := k
	for i := range k.len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		at := len(dst)
		dst, from = appendAlike(dst, before, from)
		before = dst[at:]
	}
	return append(dst, ']')
}

// part appends the array of a list that leaves some of a long one out: both are in
// the same order.
func (k kept) part(dst []byte, whole, some []registry.Endpoint) []byte {
	dst = append(dst, '[')
	from := 1
	for i := 0; i < len(whole) && len(some) > 0; i++ {
		end := int(binary.LittleEndian.Uint32(k[k.size()+4*i:]))
		if whole[i].Instance == some[0].Instance {
			if some = some[1:]; dst[len(dst)-1] == '}' {
				dst = append(dst, ',')
			}
			dst = append(dst, k[from:end]...)
		}
		from = end + 1
	}
	return append(dst, ']')
}
