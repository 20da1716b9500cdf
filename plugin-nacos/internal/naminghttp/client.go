package naminghttp

import (
	"context"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// clients is NAC-H2-40.
func (a *API) clients(c *web.Call) error {
	ids, err := a.Naming.Clients(c.Context())
	if err != nil {
		return err
	}
	return c.Data(ids)
}

// clientInfo is a client (NAC-H2-41). Of a connection no more is known here than
// that it is one.
type clientInfo struct {
	ID         string  `json:"clientId"`
	Ephemeral  bool    `json:"ephemeral"`
	Updated    int64   `json:"lastUpdatedTime"`
	Type       string  `json:"clientType"`
	Connection *string `json:"connectType"`
	App        *string `json:"appName"`
	Version    *string `json:"version"`
	IP         *string `json:"clientIp"`
	Port       int     `json:"clientPort"`
}

// client is NAC-H2-41.
func (a *API) client(c *web.Call) error {
	id, placed, err := a.publications(c)
	if err != nil {
		return err
	}
	out := clientInfo{ID: id, Ephemeral: true, Type: "connection"}
	if _, _, ephemeral, ok := naming.ParseClient(id); ok {
		out.Ephemeral, out.Type = ephemeral, "ipPort"
	}
	if out.Updated, err = a.updated(c.Context(), placed); err != nil {
		return err
	}
	return c.Data(out)
}

// updated is when a client last changed, at the latest: the last change of the
// services that it is in.
func (a *API) updated(ctx context.Context, placed []naming.Placed) (ms int64, err error) {
	for _, p := range placed {
		l, err := a.Naming.List(ctx, naming.Query{Key: p.Service, Local: true})
		if err != nil {
			return 0, err
		}
		if l.Snapshot != nil {
			ms = max(ms, naming.Changed(l.Snapshot))
		}
	}
	return ms, nil
}

// publications reads the client that a call names, and what it registered.
func (a *API) publications(c *web.Call) (string, []naming.Placed, error) {
	r := request{Call: c, gen: v2}
	if err := r.need("clientId"); err != nil {
		return "", nil, err
	}
	id := r.text("clientId")
	placed, err := a.Naming.Published(c.Context(), id)
	return id, placed, err
}

// service is how client lists name one.
type service struct {
	Namespace string `json:"namespace"`
	Group     string `json:"group"`
	Name      string `json:"serviceName"`
}

func serviceOf(k registry.ServiceKey) service { return service{k.Namespace, k.Group, k.Name} }

type registered struct {
	service
	Instance struct {
		IP      string `json:"ip"`
		Port    uint16 `json:"port"`
		Cluster string `json:"cluster"`
	} `json:"registeredInstance"`
}

// published is NAC-H2-42.
func (a *API) published(c *web.Call) error {
	_, placed, err := a.publications(c)
	if err != nil {
		return err
	}
	out := make([]registered, len(placed))
	for i, p := range placed {
		out[i].service = serviceOf(p.Service)
		out[i].Instance.IP, out[i].Instance.Port, out[i].Instance.Cluster = p.IP, p.Port, p.Cluster
	}
	return c.Data(out)
}

type subscription struct {
	service
	Subscriber struct {
		App     string `json:"app"`
		Agent   string `json:"agent"`
		Address string `json:"addr"`
	} `json:"subscriberInfo"`
}

// subscribed is NAC-H2-42.
func (a *API) subscribed(c *web.Call) error {
	r := request{Call: c, gen: v2}
	if err := r.need("clientId"); err != nil {
		return err
	}
	subs, err := a.Naming.Subscriptions(c.Context(), r.text("clientId"))
	if err != nil {
		return err
	}
	out := make([]subscription, len(subs))
	for i := range subs {
		s := &subs[i]
		out[i].service = serviceOf(s.Service)
		out[i].Subscriber.App, out[i].Subscriber.Agent, out[i].Subscriber.Address = s.App, s.Agent, s.Address()
	}
	return c.Data(out)
}

type publisher struct {
	IP      string `json:"ip"`
	Port    uint16 `json:"port"`
	Cluster string `json:"cluster"`
	Client  string `json:"clientId"`
}

// publishers is NAC-H2-43: who registered an address in a service. Without an
// address it finds nobody, as the reference.
func (a *API) publishers(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	all, err := a.Naming.PublishersOf(c.Context(), r.key)
	if err != nil {
		return err
	}
	port, err := r.integer("port", -1)
	if err != nil {
		return err
	}
	out := []publisher{}
	for i := range all {
		if p := &all[i]; p.IP == r.text("ip") && int(p.Port) == port {
			out = append(out, publisher{p.IP, p.Port, p.Cluster, p.ClientID})
		}
	}
	return c.Data(out)
}

// subscribersV2 is NAC-H2-43.
func (a *API) subscribersV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	type one struct {
		Client string `json:"clientId"`
		IP     string `json:"ip"`
		Port   int    `json:"port"`
	}
	all := a.Naming.Subscribers(r.key)
	out := make([]one, len(all))
	for i := range all {
		s := &all[i]
		out[i] = one{s.ClientID, s.IP, s.Port}
	}
	return c.Data(out)
}

// kindsOf counts clients by what their ids say.
func kindsOf(ids []string) (connections, ephemeral, persistent int) {
	for _, id := range ids {
		switch {
		case strings.HasSuffix(id, "#true"):
			ephemeral++
		case strings.HasSuffix(id, "#false"):
			persistent++
		default:
			connections++
		}
	}
	return connections, ephemeral, persistent
}
