package naminghttp

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// createService is NAC-H1N-10 and NAC-H2-30.
func (a *API) createService(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		if err := r.needInSignature("serviceName"); err != nil {
			return err
		}
		d, err := r.definition()
		if err != nil {
			return err
		}
		if g != v1 {
			ephemeral, err := r.flag("ephemeral", false)
			if err != nil {
				return err
			}
			if ephemeral {
				d.Kind = naming.Ephemeral
			}
		}
		if err := a.Naming.Create(c.Context(), c.Actor(), r.ownKey(), d); err != nil {
			return err
		}
		return r.done()
	}
}

// updateService is NAC-H1N-12 and NAC-H2-30.
func (a *API) updateService(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		needed := []string{"serviceName", "protectThreshold"}
		if g != v1 {
			needed = needed[:1]
		}
		if err := r.need(needed...); err != nil {
			return err
		}
		d, err := r.definition()
		if err != nil {
			return err
		}
		if err := a.Naming.Redefine(c.Context(), c.Actor(), r.ownKey(), d); err != nil {
			return err
		}
		return r.done()
	}
}

// definition reads what is set for a service. V1 takes a threshold that is no
// number for 0.
func (r *request) definition() (d naming.Definition, err error) {
	if d.Protect, err = r.number("protectThreshold", 0); err != nil && r.gen != v1 {
		return d, err
	}
	if d.Metadata, err = r.metadata(); err != nil {
		return d, err
	}
	text := r.text("selector")
	if len(text) > maxJSON {
		return d, web.ErrTooLarge
	}
	d.Selector, err = naming.ParseSelector(strings.Clone(text))
	return d, err
}

// removeService is NAC-H1N-11 and NAC-H2-31.
func (a *API) removeService(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		if err := r.needInSignature("serviceName"); err != nil {
			return err
		}
		if err := a.Naming.Remove(c.Context(), c.Actor(), r.key); err != nil {
			return err
		}
		return r.done()
	}
}

// selector is one as answers show it (NAD-NSEM-54).
type selector struct {
	Type       string   `json:"type"`
	Expression string   `json:"expression,omitempty"`
	Labels     []string `json:"labels,omitempty"`
	Context    string   `json:"contextType"`
}

func selectorOf(s naming.Selector) selector {
	if s.Type != naming.SelectLabel {
		return selector{Type: naming.SelectNone, Context: "NONE"}
	}
	return selector{s.Type, s.Expression, s.Labels(), "CMDB"}
}

// checker is a health checker as answers show it, with its defaults.
type checker struct {
	Type     string  `json:"type"`
	Path     *string `json:"path,omitempty"`
	Headers  *string `json:"headers,omitempty"`
	Expected *int64  `json:"expectedResponseCode,omitempty"`
	User     *string `json:"user,omitempty"`
	Password *string `json:"pwd,omitempty"`
	Command  *string `json:"cmd,omitempty"`
}

const expectedResponse = 200 // of an HTTP checker that names none

func checkerOf(k naming.Checker) checker {
	out := checker{Type: k.Type}
	spec := gjson.ParseBytes(k.Spec)
	text := func(name string) *string {
		s := spec.Get(name).String()
		return &s
	}
	switch k.Type {
	case naming.CheckHTTP:
		code := int64(expectedResponse)
		if e := spec.Get("expectedResponseCode"); e.Exists() {
			code = e.Int()
		}
		out.Path, out.Headers, out.Expected = text("path"), text("headers"), &code
	case naming.CheckMySQL:
		out.User, out.Password, out.Command = text("user"), text("pwd"), text("cmd")
	}
	return out
}

type clusterV1 struct {
	Name     string  `json:"name"`
	Checker  checker `json:"healthChecker"`
	Metadata object  `json:"metadata"`
}

// serviceV1 is NAC-H1N-13.
func (a *API) serviceV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.needInSignature("serviceName"); err != nil {
		return err
	}
	d, err := a.Naming.Detail(c.Context(), r.key)
	if err != nil {
		return err
	}
	clusters := make([]clusterV1, 0, len(d.Clusters))
	for _, cl := range d.Clusters {
		clusters = append(clusters, clusterV1{cl.Name, checkerOf(cl.Checker), object(cl.Metadata)})
	}
	return c.JSON(struct {
		Namespace string      `json:"namespaceId"`
		Group     string      `json:"groupName"`
		Name      string      `json:"name"`
		Protect   float64     `json:"protectThreshold"`
		Metadata  object      `json:"metadata"`
		Selector  selector    `json:"selector"`
		Clusters  []clusterV1 `json:"clusters"`
	}{d.Key.Namespace, d.Key.Group, d.Key.Name, d.Protect, object(d.Metadata), selectorOf(d.Selector), clusters})
}

type clusterV2 struct {
	Name     string     `json:"clusterName"`
	Checker  checker    `json:"healthChecker"`
	Metadata object     `json:"metadata"`
	Hosts    []struct{} `json:"hosts"` // null: not shown here
}

// serviceV2 is NAC-H2-32.
func (a *API) serviceV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	d, err := a.Naming.Detail(c.Context(), r.key)
	if err != nil {
		return err
	}
	clusters := make(map[string]clusterV2, len(d.Clusters))
	for _, cl := range d.Clusters {
		clusters[cl.Name] = clusterV2{cl.Name, checkerOf(cl.Checker), object(cl.Metadata), nil}
	}
	return c.Data(struct {
		Namespace string               `json:"namespace"`
		Name      string               `json:"serviceName"`
		Group     string               `json:"groupName"`
		Clusters  map[string]clusterV2 `json:"clusterMap"`
		Metadata  object               `json:"metadata"`
		Protect   float64              `json:"protectThreshold"`
		Selector  selector             `json:"selector"`
		Ephemeral bool                 `json:"ephemeral"`
	}{
		d.Key.Namespace, d.Key.Name, d.Key.Group, clusters, object(d.Metadata), d.Protect, selectorOf(d.Selector),
		d.Kind == naming.Ephemeral,
	})
}

// servicesV1 is NAC-H1N-14; what is no number is 0, which as a page is the first.
func (a *API) servicesV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.need("pageNo", "pageSize"); err != nil {
		return err
	}
	names, total, err := a.Naming.Page(c.Context(), r.key.Namespace, r.key.Group, r.lenient("pageNo"), r.lenient("pageSize"))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Count int      `json:"count"`
		Names []string `json:"doms"`
	}{total, names})
}

const servicesPage = 20 // names of a page of V2 when the caller does not say

// servicesV2 is NAC-H2-33.
func (a *API) servicesV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	number, err := r.integer("pageNo", 1)
	if err != nil {
		return err
	}
	size, err := r.integer("pageSize", servicesPage)
	if err != nil {
		return err
	}
	names, total, err := a.Naming.Page(c.Context(), r.key.Namespace, r.key.Group, number, size)
	if err != nil {
		return err
	}
	return c.Data(struct {
		Count int      `json:"count"`
		Names []string `json:"services"`
	}{total, names})
}

// names is NAC-H1N-15. The key of the answer is that of the reference.
func (a *API) names(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	names, n, err := a.Naming.Names(c.Context(), r.text("namespaceId"), r.text("expr"))
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Names map[string][]string `json:"META-INF/services"`
		Count int                 `json:"count"`
	}{names, n})
}

// namesResource is a namespace, or all of them when none is named.
func namesResource(param authmap.Source) auth.Resource {
	namespace := strings.TrimSpace(param("namespaceId"))
	if namespace == "" {
		namespace = "*"
	}
	return auth.Resource{Kind: authmap.KindNaming, Namespace: namespace}
}

// subscriber is one as V1 shows it (NAC-H1N-16).
type subscriber struct {
	Address   string `json:"addrStr"`
	Agent     string `json:"agent"`
	App       string `json:"app"`
	IP        string `json:"ip"`
	Port      int    `json:"port"`
	Namespace string `json:"namespaceId"`
	Service   string `json:"serviceName"`
	Cluster   string `json:"cluster"`
}

const subscribersPage = 1000 // subscribers of a page when the caller does not say

// subscribersV1 is NAC-H1N-16.
func (a *API) subscribersV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName"); err != nil {
		return err
	}
	number, err := r.integer("pageNo", 1)
	if err != nil {
		return err
	}
	size, err := r.integer("pageSize", subscribersPage)
	if err != nil {
		return err
	}
	all := a.Naming.Subscribers(r.key)
	from, to := window(number, size, len(all))
	out := make([]subscriber, 0, to-from)
	for i := range all[from:to] {
		s := &all[from+i]
		out = append(out, subscriber{
			s.Address(), s.Agent, s.App, s.IP, s.Port, s.Service.Namespace, naming.Grouped(s.Service), s.Clusters,
		})
	}
	return c.JSON(struct {
		Subscribers []subscriber `json:"subscribers"`
		Count       int          `json:"count"`
	}{out, len(all)})
}

// window is the range of indices of a page of n things.
func window(page, size, n int) (from, to int) {
	page, size = max(page, 1), max(size, 0)
	if size == 0 || page-1 > n/size {
		return n, n
	}
	from = (page - 1) * size
	return min(from, n), min(from+size, n)
}

// selectorTypes is NAC-H1N-17.
func (*API) selectorTypes(c *web.Call) error {
	return c.JSON(web.RestResult{Code: 200, Data: []string{naming.SelectNone, naming.SelectLabel}})
}
