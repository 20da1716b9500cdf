package naminghttp

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// register is NAC-H1N-01, NAC-H2-20 and NAC-H3-03.
func (a *API) register(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		return a.enter(&r)
	}
}

func (a *API) enter(r *request) error {
	in, err := r.instance()
	if err != nil {
		return err
	}
	ephemeral, err := r.ephemeral()
	if err != nil {
		return err
	}
	if ephemeral {
		err = a.Naming.Register(r.Context(), naming.Address(in.IP, in.Port), r.key, in)
	} else {
		err = a.Naming.RegisterPersistent(r.Context(), r.Actor(), r.key, in)
	}
	if err != nil {
		return err
	}
	return r.done()
}

// deregister is NAC-H1N-02, NAC-H2-20 and NAC-H3-05; what is not there is gone.
func (a *API) deregister(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		t, err := r.target()
		if err != nil {
			return err
		}
		ephemeral, err := r.ephemeral()
		if err != nil {
			return err
		}
		if ephemeral {
			err = a.Naming.Deregister(c.Context(), naming.Address(t.IP, t.Port), r.key)
		} else {
			err = a.Naming.DeregisterPersistent(c.Context(), c.Actor(), r.key, t.IP, t.Port)
		}
		if err != nil {
			return err
		}
		return r.done()
	}
}

// update is NAC-H1N-03 and NAC-H2-20.
func (a *API) update(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		in, err := r.instance()
		if err != nil {
			return err
		}
		if err := a.Naming.Update(c.Context(), c.Actor(), r.key, in); err != nil {
			return err
		}
		return r.done()
	}
}

// patchV1 is NAC-H1N-04. The health of an instance is not an operator's to
// change here; like the reference it takes the parameter and does nothing.
func (a *API) patchV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	return a.patch(&r)
}

// patchV2 is NAC-H2-21.
func (a *API) patchV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName", "ip", "port", "weight", "enabled", "metadata"); err != nil {
		return err
	}
	if err := r.grouped(); err != nil {
		return err
	}
	return a.patch(&r)
}

func (a *API) patch(r *request) error {
	t, err := r.target()
	if err != nil {
		return err
	}
	var o naming.Operated
	if r.text("weight") != "" {
		w, err := r.number("weight", 0)
		if err == nil {
			err = naming.CheckWeight(w)
		}
		if err != nil {
			return err
		}
		o.Weight = &w
	}
	if r.text("enabled") != "" {
		enabled, err := r.flag("enabled", true)
		if err != nil {
			return err
		}
		o.Enabled = &enabled
	}
	if r.text("metadata") != "" {
		o.Set = true
		if o.Metadata, err = r.instanceMetadata(); err != nil {
			return err
		}
	}
	if err := a.Naming.Patch(r.Context(), r.Actor(), r.key, t, o); err != nil {
		return err
	}
	return r.Plain("ok") // V2 too
}

// grouped refuses a plain service name, as few endpoints of V2 do.
func (r *request) grouped() error {
	if _, _, ok := naming.Split(r.text("serviceName")); ok {
		return nil
	}
	return &naming.Error{Reason: naming.BadName, Detail: "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'"}
}

// shown is an instance as V1 answers it (NAC-H1N-05).
type shown struct {
	Service  string  `json:"service"`
	IP       string  `json:"ip"`
	Port     uint16  `json:"port"`
	Cluster  string  `json:"clusterName"`
	Weight   float64 `json:"weight"`
	Healthy  bool    `json:"healthy"`
	ID       string  `json:"instanceId"`
	Metadata object  `json:"metadata"`
}

func (a *API) instanceV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	t, err := r.target()
	if err != nil {
		return err
	}
	t.Cluster = r.text("clusterName") // here alone the other name is not read
	f, err := a.find(&r, t)
	if err != nil {
		return err
	}
	return c.JSON(shown{
		naming.Grouped(r.key), t.IP, t.Port, f.Endpoint.Subset, f.Weight, f.Healthy, f.ID, object(f.Metadata),
	})
}

// shownV2 is an instance as V2 answers it (NAC-H2-22).
type shownV2 struct {
	Service  string  `json:"serviceName"`
	IP       string  `json:"ip"`
	Port     uint16  `json:"port"`
	Cluster  string  `json:"clusterName"`
	Weight   float64 `json:"weight"`
	Healthy  bool    `json:"healthy"`
	ID       *string `json:"instanceId"`
	Metadata object  `json:"metadata"`
}

func (a *API) instanceV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	t, err := r.target()
	if err != nil {
		return err
	}
	f, err := a.find(&r, t)
	if err != nil {
		return err
	}
	out := shownV2{
		naming.Grouped(r.key), t.IP, t.Port, f.Endpoint.Subset, f.Weight, f.Healthy, nil, object(f.Metadata),
	}
	if f.HasID {
		out.ID = &f.ID
	}
	return c.Data(out)
}

// find tells a service without instances from one that lacks this instance.
func (a *API) find(r *request, t naming.Target) (*naming.Found, error) {
	f, err := a.Naming.Find(r.Context(), r.key, t)
	if err != naming.ErrNoInstance { //nolint:errorlint // handed over as it is
		return f, err
	}
	l, other := a.Naming.List(r.Context(), naming.Query{Key: r.key, Disabled: true, Local: true})
	switch {
	case other != nil:
		return nil, other
	case len(l.Endpoints) == 0:
		return nil, &naming.Error{
			Reason: naming.NoInstance,
			Detail: "no ips found for cluster " + naming.ClusterOf(t.Cluster) + " in service " + naming.Grouped(r.key),
		}
	}
	return nil, err
}

// batch is NAC-H1N-08 and NAC-H2-24.
func (a *API) batch(g generation, remove bool) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		if err := r.need("serviceName", "metadata"); err != nil {
			return err
		}
		b := naming.Batch{Remove: remove}
		if b.Metadata, err = r.instanceMetadata(); err != nil {
			return err
		}
		if b.Targets, err = targets(r.Param("instances")); err != nil {
			return err
		}
		if b.Targets != nil { // without it all are meant, of either kind (NAD-NS-14)
			b.Kind = naming.Ephemeral
			if r.text("consistencyType") == "persist" {
				b.Kind = naming.Persistent
			}
		}
		done, err := a.Naming.UpdateMetadata(c.Context(), c.Actor(), r.key, b)
		if err != nil {
			return err
		}
		out := updated{make([]string, 0, len(done))}
		for _, u := range done {
			out.Updated = append(out.Updated, u.String())
		}
		return r.answer(out)
	}
}

type updated struct {
	Updated []string `json:"updated"`
}

// maxTargets bounds the list of instances of a batch, in bytes.
const maxTargets = 1 << 20

// targets reads the instances of a batch; nil for all, which a text that cannot
// be read means too (NAD-NS-14).
func targets(text string) (out []naming.Target, err error) {
	var list []struct {
		IP      string `json:"ip"`
		Port    uint16 `json:"port"`
		Cluster string `json:"clusterName"`
	}
	if len(text) > maxTargets {
		return nil, web.ErrTooLarge
	}
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	for _, i := range list {
		out = append(out, naming.Target{IP: i.IP, Port: i.Port, Cluster: i.Cluster})
	}
	return out, nil
}

// statuses is NAC-H1N-09 and NAC-H2-26: bare in both.
func (a *API) statuses(c *web.Call) error {
	r := request{Call: c, gen: v1}
	if err := r.needInSignature("key"); err != nil {
		return err
	}
	k := statusKey(c.Param)
	ips, err := a.Naming.Statuses(c.Context(), k)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		IPs []string `json:"ips"`
	}{ips})
}

// statusKey reads namespace##group@@service, or the part behind ##.
func statusKey(param authmap.Source) registry.ServiceKey {
	namespace, service, ok := strings.Cut(strings.TrimSpace(param("key")), "##")
	if !ok {
		namespace, service = param("namespaceId"), namespace
	}
	return naming.Key(namespace, "", service)
}

func statusResource(param authmap.Source) auth.Resource { return resourceOf(statusKey(param)) }

// registerV3 is NAC-H3-03, and NAC-H3-04 with a flag.
func (a *API) registerV3(c *web.Call) error {
	r, err := v3.read(c)
	if err != nil {
		return err
	}
	heartBeat, err := r.flag("heartBeat", false)
	if err != nil {
		return err
	}
	if !heartBeat {
		return a.enter(&r)
	}
	t, err := r.target()
	if err != nil {
		return err
	}
	b, err := a.Naming.Beat(c.Context(), r.key, naming.Beat{IP: t.IP, Port: t.Port, Cluster: t.Cluster})
	switch {
	case err != nil:
		return err
	case !b.Known:
		return c.Result(http.StatusOK, web.Result{Code: 21003, Message: "instance not found"})
	}
	return r.done()
}
