package namingrpc

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// How an answer with a ServiceInfo begins.
const (
	headQuery     = `{"resultCode":200,"errorCode":0,"success":true,"serviceInfo":`
	headSubscribe = `{"resultCode":200,"errorCode":0,"message":"success","success":true,"serviceInfo":`
)

// infoAnswer is an answer with a ServiceInfo. The instances in it are shared with
// everybody who is answered the same.
func infoAnswer(class, head string, l *naming.List) stream.Answer {
	const around = 192 // the rest of a ServiceInfo, and names as they mostly are
	both := make([]byte, 0, len(head)+around+len(l.Key.Name)+len(l.Key.Group))
	both = l.AppendHead(append(both, head...), l.Key.Name)
	n := len(both)
	both = append(l.AppendTail(both), '}')
	return stream.Answer{Type: class, Body: both[:n:n], Shared: l.Hosts(), End: both[n:]}
}

// query is NAC-NAM-26.
func (a *API) query(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k, err := r.key()
	if err != nil {
		return stream.Answer{}, err
	}
	l, err := a.naming.List(ctx, naming.Query{Key: k, Clusters: r.cluster, HealthyOnly: r.healthyOnly})
	if err != nil {
		return stream.Answer{}, err
	}
	return infoAnswer(typeQuery, headQuery, l), nil
}

// listAnswer is a ServiceListResponse; both keys are always there (NAC-NAM-27).
type listAnswer struct {
	stream.Status
	Count int      `json:"count"`
	Names []string `json:"serviceNames"`
}

func failList(_ *stream.Call, s stream.Status) any { return listAnswer{Status: s, Names: []string{}} }

// list is NAC-NAM-27.
func (a *API) list(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k := naming.Key(r.namespace, r.group, "")
	if err := naming.CheckFormat(&naming.Names{Namespace: k.Namespace, Group: k.Group}); err != nil {
		return stream.Answer{}, err
	}
	names, total, err := a.naming.Page(ctx, k.Namespace, k.Group, r.page, r.size)
	if err != nil {
		return stream.Answer{}, err
	}
	return stream.Encode(typeList, listAnswer{stream.OK, total, names}), nil
}

// subscribe is NAC-NAM-28..30.
func (a *API) subscribe(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k, err := r.key()
	if err != nil {
		return stream.Answer{}, err
	}
	if !isNaming(c.Conn) {
		return stream.Answer{}, disconnected(c.Conn)
	}
	if r.subscribe {
		err = a.enter(c.Conn, k, fanout.Subscription{Clusters: r.clusters, App: appOf(c)})
	} else {
		a.pusher.Remove(c.Conn, k, func(key *registry.ServiceKey) { c.Conn.Withdraw(key) })
	}
	if err != nil {
		return stream.Answer{}, err
	}
	l, err := a.naming.List(ctx, naming.Query{Key: k, Clusters: r.clusters})
	if err != nil {
		return stream.Answer{}, err
	}
	if r.subscribe {
		a.pusher.Shown(k, l.Snapshot)
	}
	return infoAnswer(typeSubscribe, headSubscribe, l), nil
}

// enter notes a subscriber, until its connection ends.
func (a *API) enter(c *stream.Conn, k registry.ServiceKey, s fanout.Subscription) error {
	isNew, err := a.pusher.Add(c, k, s)
	if err != nil {
		return bad(fmt.Sprintf("more than %d services on one connection", maxSubscribed))
	}
	if isNew {
		c.OnClose(func() { a.pusher.Leave(c) })
	}
	return nil
}

// restOf is a NotifySubscriberRequest behind its request id (NAC-NAM-31).
func restOf(l *naming.List) []byte {
	const around = 256
	hosts := l.Hosts()
	b := make([]byte, 0, len(hosts)+around+len(l.Key.Name)+len(l.Key.Group))
	b = append(b, `"serviceInfo":`...)
	b = l.AppendHead(b, l.Key.Name)
	b = append(b, hosts...)
	b = l.AppendTail(b)
	return append(b, `,"module":"naming"}`...)
}

// appOf is the application of a client (NAC-TRN-23).
func appOf(c *stream.Call) string {
	if app := c.Header("app"); app != "" {
		return app
	}
	if s := c.Conn.Setup(); s != nil {
		return s.Labels["AppName"]
	}
	return ""
}
