package naminghttp

import (
	"context"
	"net/http"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/udppush"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// API holds what the handlers stand on.
type API struct {
	Naming  *naming.Service
	Catalog registry.Catalog // for counts alone
	Ready   func(context.Context) error
	Pushes  *udppush.API // nil: nothing is pushed over UDP

	counts counter
}

// Routes is the table of endpoints of all generations.
func (a *API) Routes() []web.Route {
	var t table
	a.routesV1(&t)
	a.routesV2(&t)
	a.routesV3(&t)
	return t.routes
}

// table collects routes.
type table struct{ routes []web.Route }

// group is a part of the table with one style and one reader of parameters.
type group struct {
	*table
	style  web.Style
	prefix string
	gen    generation
}

type handler func(*web.Call) error

func (g group) add(method, path string, access authmap.Access, h handler) {
	g.routes = append(g.routes, web.Route{Method: method, Path: g.prefix + path, Access: access, Style: g.style, Handle: h})
}

// any adds a path for every method.
func (g group) any(path string, access authmap.Access, h handler) {
	for _, m := range [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		g.add(m, path, access, h)
	}
}

// on asks for a right on the service that the parameters name.
func (g group) on(p auth.Plane, action auth.Action) authmap.Access {
	return authmap.For(p, action, g.gen.resource)
}

// everything asks for a right on all of naming.
func everything(p auth.Plane, action auth.Action) authmap.Access {
	return authmap.For(p, action, func(authmap.Source) auth.Resource {
		return auth.Resource{Kind: authmap.KindNaming, Namespace: "*"}
	})
}

func (a *API) routesV1(t *table) {
	g := group{t, web.Naming, "/v1/ns", v1}
	read, write := g.on(auth.Client, auth.Read), g.on(auth.Client, auth.Write)
	manage := g.on(auth.Admin, auth.Read)
	open := authmap.Open(auth.Client)

	g.add(http.MethodPost, "/instance", write, a.register(v1))
	g.add(http.MethodDelete, "/instance", write, a.deregister(v1))
	g.add(http.MethodPut, "/instance", write, a.update(v1))
	g.add(http.MethodPatch, "/instance", write, a.patchV1)
	g.add(http.MethodGet, "/instance", read, a.instanceV1)
	g.add(http.MethodGet, "/instance/list", read, a.listV1)
	g.add(http.MethodPut, "/instance/beat", write, a.beat(v1))
	g.add(http.MethodPut, "/instance/metadata/batch", write, a.batch(v1, false))
	g.add(http.MethodDelete, "/instance/metadata/batch", write, a.batch(v1, true))
	g.add(http.MethodGet, "/instance/statuses", authmap.For(auth.Client, auth.Read, statusResource), a.statuses)

	g.add(http.MethodPost, "/service", write, a.createService(v1))
	g.add(http.MethodDelete, "/service", write, a.removeService(v1))
	g.add(http.MethodPut, "/service", write, a.updateService(v1))
	g.add(http.MethodGet, "/service", read, a.serviceV1)
	g.add(http.MethodGet, "/service/list", read, a.servicesV1)
	g.add(http.MethodGet, "/service/names", authmap.For(auth.Client, auth.Read, namesResource), a.names)
	g.add(http.MethodGet, "/service/subscribers", read, a.subscribersV1)
	g.add(http.MethodGet, "/service/selector/types", open, a.selectorTypes)

	g.add(http.MethodPut, "/cluster", write, a.cluster)
	g.add(http.MethodPut, "/health", write, a.setHealth(v1))
	g.add(http.MethodPut, "/health/instance", write, a.setHealth(v1))
	g.add(http.MethodGet, "/health/checkers", open, a.checkers)
	g.add(http.MethodGet, "/health/server", open, a.healthServer)

	g.add(http.MethodGet, "/catalog/services", manage, a.catalogServices)
	g.add(http.MethodGet, "/catalog/service", manage, a.catalogService)
	g.add(http.MethodGet, "/catalog/instances", manage, a.catalogInstancesV1)

	g.add(http.MethodGet, "/operator/metrics", open, a.metrics(v1))
	g.add(http.MethodGet, "/ops/metrics", open, a.metrics(v1))
}

func (a *API) routesV2(t *table) {
	g := group{t, web.EnvelopedV2, "/v2/ns", v2}
	read, write := g.on(auth.Client, auth.Read), g.on(auth.Client, auth.Write)
	manage := everything(auth.Admin, auth.Read)
	open := authmap.Open(auth.Client)

	g.add(http.MethodPost, "/instance", write, a.register(v2))
	g.add(http.MethodDelete, "/instance", write, a.deregister(v2))
	g.add(http.MethodPut, "/instance", write, a.update(v2))
	g.add(http.MethodPatch, "/instance", write, a.patchV2)
	g.add(http.MethodGet, "/instance", read, a.instanceV2)
	g.add(http.MethodGet, "/instance/list", read, a.listV2)
	g.add(http.MethodPut, "/instance/beat", write, a.beat(v2))
	g.add(http.MethodPut, "/instance/metadata/batch", write, a.batch(v2, false))
	g.add(http.MethodDelete, "/instance/metadata/batch", write, a.batch(v2, true))
	g.any("/instance/statuses/:key", authmap.For(auth.Client, auth.Read, statusResource), a.statuses)

	g.add(http.MethodPost, "/service", write, a.createService(v2))
	g.add(http.MethodPut, "/service", write, a.updateService(v2))
	g.add(http.MethodDelete, "/service", write, a.removeService(v2))
	g.add(http.MethodGet, "/service", read, a.serviceV2)
	g.add(http.MethodGet, "/service/list", read, a.servicesV2)

	g.add(http.MethodPut, "/health", write, a.setHealth(v2))
	g.add(http.MethodPut, "/health/instance", write, a.setHealth(v2))

	g.add(http.MethodGet, "/client/list", manage, a.clients)
	g.add(http.MethodGet, "/client", manage, a.client)
	g.add(http.MethodGet, "/client/publish/list", manage, a.published)
	g.add(http.MethodGet, "/client/subscribe/list", manage, a.subscribed)
	ofService := g.on(auth.Admin, auth.Read)
	g.add(http.MethodGet, "/client/service/publisher/list", ofService, a.publishers)
	g.add(http.MethodGet, "/client/service/subscriber/list", ofService, a.subscribersV2)

	g.add(http.MethodGet, "/operator/metrics", open, a.metrics(v2))
	g.add(http.MethodGet, "/ops/metrics", open, a.metrics(v2))

	g.style = web.Naming // its errors are texts, as those of V1
	g.any("/catalog/instances", ofService, a.catalogInstancesV2)
}

func (a *API) routesV3(t *table) {
	g := group{t, web.Enveloped, "/v3/client/ns", v3}
	read, write := g.on(auth.Client, auth.Read), g.on(auth.Client, auth.Write)
	g.add(http.MethodPost, "/instance", write, a.registerV3)
	g.add(http.MethodDelete, "/instance", write, a.deregister(v3))
	g.add(http.MethodGet, "/instance/list", read, a.listV3)
}
