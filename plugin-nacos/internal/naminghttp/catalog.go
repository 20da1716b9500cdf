package naminghttp

import (
	"errors"
	"strconv"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// row is a service in a list of consoles (NAC-H1N-50).
type row struct {
	Name     string `json:"name"`
	Group    string `json:"groupName"`
	Clusters int    `json:"clusterCount"`
	IPs      int    `json:"ipCount"`
	Healthy  int    `json:"healthyInstanceCount"`
	Trigger  string `json:"triggerFlag"`
}

// rowOf counts a service. The trigger is told without instances as not pulled.
func (a *API) rowOf(d *naming.Detail) row {
	es := a.all(d).Endpoints
	healthy := 0
	for i := range es {
		if naming.Healthy(&es[i]) {
			healthy++
		}
	}
	trigger := len(es) > 0 && float64(healthy)/float64(len(es)) <= d.Protect
	return row{d.Key.Name, d.Key.Group, len(d.Clusters), len(es), healthy, strconv.FormatBool(trigger)}
}

// all are the instances of a service as they are.
func (a *API) all(d *naming.Detail) *naming.List {
	return a.Naming.Choose(d.Snapshot, naming.Query{Key: d.Key, Disabled: true})
}

// catalogServices is NAC-H1N-50.
func (a *API) catalogServices(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.needInSignature("pageNo", "pageSize"); err != nil {
		return err
	}
	number, err := r.integer("pageNo", 1)
	if err != nil {
		return err
	}
	size, err := r.integer("pageSize", 0)
	if err != nil {
		return err
	}
	found, total, err := a.Naming.Services(c.Context(), naming.Search{
		Namespace: r.text("namespaceId"), Group: r.text("groupNameParam"), Name: r.text("serviceNameParam"),
		WithInstances: r.is("hasIpCount"),
	}, number, size)
	if err != nil {
		return err
	}
	if r.is("withInstances") {
		return c.JSON(a.withInstances(found))
	}
	rows := make([]row, 0, len(found))
	for _, d := range found {
		rows = append(rows, a.rowOf(d))
	}
	return c.JSON(struct {
		Count int   `json:"count"`
		Rows  []row `json:"serviceList"`
	}{total, rows})
}

// whole is a service with its instances; what is null in the reference stays so.
type whole struct {
	Namespace *string                  `json:"namespace"`
	Name      string                   `json:"serviceName"`
	Group     string                   `json:"groupName"`
	Clusters  map[string]*wholeCluster `json:"clusterMap"`
	Metadata  object                   `json:"metadata"`
	Protect   float64                  `json:"protectThreshold"` // always 0
	Selector  *string                  `json:"selector"`
	Ephemeral *bool                    `json:"ephemeral"`
}

type wholeCluster struct {
	Name     *string `json:"clusterName"`
	Checker  *string `json:"healthChecker"`
	Metadata *string `json:"metadata"`
	Hosts    []host  `json:"hosts"`
}

type host struct {
	Valid    bool    `json:"valid"`
	Metadata object  `json:"metadata"`
	Port     uint16  `json:"port"`
	IP       string  `json:"ip"`
	Weight   float64 `json:"weight"`
	Enabled  bool    `json:"enabled"`
}

func (a *API) withInstances(found []*naming.Detail) []whole {
	out := make([]whole, 0, len(found))
	for _, d := range found {
		w := whole{Name: d.Key.Name, Group: d.Key.Group, Clusters: map[string]*wholeCluster{}, Metadata: object(d.Metadata)}
		es := a.all(d).Endpoints
		for i := range es {
			e := &es[i]
			cluster := w.Clusters[e.Subset]
			if cluster == nil {
				cluster = &wholeCluster{}
				w.Clusters[e.Subset] = cluster
			}
			cluster.Hosts = append(cluster.Hosts, host{
				naming.Healthy(e), object(e.Meta.Pairs()), e.Port, e.Host, e.Weight, e.Health != registry.Maintenance,
			})
		}
		out = append(out, w)
	}
	return out
}

// Cluster settings that nobody can change (NAC-H1N-52).
const defaultPort = 80

type clusterOfCatalog struct {
	Service   string  `json:"serviceName"`
	Name      string  `json:"name"`
	Checker   checker `json:"healthChecker"`
	Port      int     `json:"defaultPort"`
	CheckPort int     `json:"defaultCheckPort"`
	OwnPort   bool    `json:"useIpPort4Check"`
	Metadata  object  `json:"metadata"`
}

type serviceOfCatalog struct {
	Name     string   `json:"name"`
	Group    string   `json:"groupName"`
	Protect  float64  `json:"protectThreshold"`
	Selector selector `json:"selector"`
	Metadata object   `json:"metadata"`
}

// catalogService is NAC-H1N-52.
func (a *API) catalogService(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.needInSignature("serviceName"); err != nil {
		return err
	}
	d, err := a.detail(&r)
	if err != nil {
		return err
	}
	clusters := make([]clusterOfCatalog, 0, len(d.Clusters))
	for _, cl := range d.Clusters {
		clusters = append(clusters, clusterOfCatalog{
			naming.Grouped(d.Key), cl.Name, checkerOf(cl.Checker), defaultPort, cl.Checker.Port, cl.Checker.OwnPort, object(cl.Metadata),
		})
	}
	return c.JSON(struct {
		Service  serviceOfCatalog   `json:"service"`
		Clusters []clusterOfCatalog `json:"clusters"`
	}{
		serviceOfCatalog{d.Key.Name, d.Key.Group, d.Protect, selectorOf(d.Selector), object(d.Metadata)},
		clusters,
	})
}

// detail describes a service; an unknown one is not found here, where it is a bad
// request elsewhere.
func (a *API) detail(r *request) (*naming.Detail, error) {
	d, err := a.Naming.Detail(r.Context(), r.key)
	if errors.Is(err, &naming.Error{Reason: naming.NoService}) {
		return nil, &naming.Error{Reason: naming.NoCluster, Detail: "service " + naming.Grouped(r.key) + " is not found!"}
	}
	return d, err
}

// catalogInstancesV1 is NAC-H1N-51.
func (a *API) catalogInstancesV1(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.needInSignature("serviceName", "clusterName", "pageNo", "pageSize"); err != nil {
		return err
	}
	d, err := a.detail(&r)
	if err != nil {
		return err
	}
	cluster := r.text("clusterName")
	l := a.Naming.Choose(d.Snapshot, naming.Query{Key: d.Key, Disabled: true, Clusters: cluster})
	if len(l.Endpoints) == 0 {
		return &naming.Error{Reason: naming.NoCluster, Detail: "cluster " + cluster + " is not found!"}
	}
	return r.instances(l, "list", func(*registry.Endpoint) bool { return true })
}

// catalogInstancesV2 is NAC-H2-52, without a cluster.
func (a *API) catalogInstancesV2(c *web.Call) error {
	r, err := v2.read(c)
	if err != nil {
		return err
	}
	if err := r.needInSignature("serviceName", "pageNo", "pageSize"); err != nil {
		return err
	}
	l, err := a.Naming.List(c.Context(), naming.Query{Key: r.key, Disabled: true})
	if err != nil {
		return err
	}
	healthy, enabled := r.is("healthyOnly"), r.is("enabledOnly")
	return r.instances(l, "instances", func(e *registry.Endpoint) bool {
		return (!healthy || naming.Healthy(e)) && (!enabled || e.Health != registry.Maintenance)
	})
}

// instances answers one page of a list under a key, and how many there are: V2 in
// its envelope.
func (r *request) instances(l *naming.List, key string, keep func(*registry.Endpoint) bool) error {
	number, err := r.integer("pageNo", 1)
	if err != nil {
		return err
	}
	size, err := r.integer("pageSize", 0)
	if err != nil {
		return err
	}
	kept := make([]int, 0, len(l.Endpoints))
	for i := range l.Endpoints {
		if keep(&l.Endpoints[i]) {
			kept = append(kept, i)
		}
	}
	from, to := window(number, size, len(kept))
	return encoded(r.Call, func(b []byte) []byte {
		if r.gen != v1 {
			b = append(b, envelopeHead...)
		}
		b = append(append(append(b, `{"`...), key...), `":[`...)
		for n, i := range kept[from:to] {
			if n > 0 {
				b = append(b, ',')
			}
			b = l.AppendHost(b, i)
		}
		b = strconv.AppendInt(append(b, `],"count":`...), int64(len(kept)), 10)
		b = append(b, '}')
		if r.gen != v1 {
			b = append(b, envelopeTail...)
		}
		return b
	})
}
