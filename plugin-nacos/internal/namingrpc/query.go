package namingrpc

import (
	"context"

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
		err = a.pusher.add(c.Conn, k, subscription{clusters: r.clusters, app: appOf(c)})
	} else {
		a.pusher.remove(c.Conn, k)
	}
	if err != nil {
		return stream.Answer{}, err
	}
	l, err := a.naming.List(ctx, naming.Query{Key: k, Clusters: r.clusters})
	if err != nil {
		return stream.Answer{}, err
	}
	if r.subscribe {
		a.pusher.shown(k, l.Snapshot)
	}
	return infoAnswer(typeSubscribe, headSubscribe, l), nil
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
