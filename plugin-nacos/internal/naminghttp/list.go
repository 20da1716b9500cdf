package naminghttp

import (
	"sync"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/udppush"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// listV1 is NAC-H1N-06; clientIP and udpPort are those of a UDP client.
func (a *API) listV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	port, err := r.integer("udpPort", 0)
	if err != nil {
		return err
	}
	q := naming.Query{Key: r.key, Clusters: r.text("clusters"), HealthyOnly: r.is("healthyOnly")}
	l, err := a.list(&r, q, r.text("clientIP"), port)
	if err != nil {
		return err
	}
	return encoded(c, func(b []byte) []byte { return l.AppendInfo(b, naming.Grouped(l.Key)) })
}

// list answers a query. Who names a port is pushed what changes, and is noted
// before the list is read, so that no change falls between (NAC-UDP-01).
func (a *API) list(r *request, q naming.Query, ip string, port int) (*naming.List, error) {
	push := port > 0 && a.Pushes != nil
	if push {
		a.Pushes.Subscribe(udppush.Request{
			Service: r.ownKey(), Clusters: q.Clusters, App: r.text("app"), Agent: r.Agent(),
			Peer: r.Peer(), Proxied: r.Proxied(), IP: ip, Port: port,
		})
	}
	l, err := a.Naming.List(r.Context(), q)
	if err == nil && push {
		a.Pushes.Shown(q.Key, l.Snapshot)
	}
	return l, err
}

// The envelope of a success around what is encoded already.
const (
	envelopeHead = `{"code":0,"message":"success","data":`
	envelopeTail = "}"
)

// listV2 is NAC-H2-23; ip and port are those of a UDP client.
func (a *API) listV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	healthy, err := r.flag("healthyOnly", false)
	if err != nil {
		return err
	}
	port, err := r.integer("port", 0)
	if err != nil {
		return err
	}
	l, err := a.list(&r, naming.Query{Key: r.key, Clusters: r.text("clusterName"), HealthyOnly: healthy}, r.text("ip"), port)
	if err != nil {
		return err
	}
	return encoded(c, func(b []byte) []byte {
		b = l.AppendInfo(append(b, envelopeHead...), naming.Grouped(l.Key))
		return append(b, envelopeTail...)
	})
}

// listV3 is NAC-H3-06: without a cluster it is that of DEFAULT, and healthyOnly
// changes nothing.
func (a *API) listV3(c *web.Call) error {
	r, err := v3.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	l, err := a.Naming.List(c.Context(), naming.Query{Key: r.key, Clusters: naming.ClusterOf(r.text("clusterName"))})
	if err != nil {
		return err
	}
	return encoded(c, func(b []byte) []byte {
		return append(l.AppendHosts(append(b, envelopeHead...)), envelopeTail...)
	})
}

// buffers hold answers while they are written.
var buffers = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // memory, no state

// maxKept is the size of a buffer that is kept for the next answer.
const maxKept = 1 << 20

// encoded answers what add appends.
func encoded(c *web.Call, add func([]byte) []byte) error {
	p, _ := buffers.Get().(*[]byte)
	b := add((*p)[:0])
	err := c.Encoded(b)
	if cap(b) <= maxKept {
		*p = b
		buffers.Put(p)
	}
	return err
}
