package authmap

import (
	"cmp"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// The kinds of resources as grants name them (NAC-AUT-12).
const (
	KindConfig = "config"
	KindNaming = "naming"
)

// Access is what a route asks of its caller. The zero value is invalid, so that
// a route cannot be registered without one.
type Access struct {
	plane    auth.Plane
	open     bool // answers everybody
	action   auth.Action
	resource func(param Source) auth.Resource
	each     func(param Source) []auth.Resource
}

// Open answers everybody: health, login, the first administrator
// (NAD-AUTH-41).
func Open(p auth.Plane) Access { return Access{plane: p, open: true} }

// For asks for a right on the resource that a function reads from the parameters.
// It must find what the handler acts on, or the right that is asked is another's.
func For(p auth.Plane, a auth.Action, resource func(Source) auth.Resource) Access {
	return Access{plane: p, action: a, resource: resource}
}

// Fixed asks for a right on what belongs to no namespace. A grant names it by
// exactly this text (NAD-AUTH-77).
func Fixed(p auth.Plane, a auth.Action, text string) Access {
	return For(p, a, func(Source) auth.Resource { return auth.Resource{Name: text} })
}

// Each is For of several resources, at least one: the caller needs a right on all.
func Each(p auth.Plane, a auth.Action, resources func(Source) []auth.Resource) Access {
	return Access{plane: p, action: a, each: resources}
}

// ConfigV1 asks for a right on the config that the parameters name as V1 and gRPC
// do.
func ConfigV1(p auth.Plane, a auth.Action) Access {
	return For(p, a, func(param Source) auth.Resource {
		return auth.Resource{Kind: KindConfig, Namespace: param("tenant"), Group: param("group"), Name: param("dataId")}
	})
}

// ConfigV3 asks for a right on the config that the parameters name as V3 does.
func ConfigV3(p auth.Plane, a auth.Action) Access {
	return For(p, a, func(param Source) auth.Resource {
		return auth.Resource{Kind: KindConfig, Namespace: param("namespaceId"), Group: param("groupName"), Name: param("dataId")}
	})
}

// Tenants are all configs of several namespaces, each named once. Lists of configs
// are judged by them (NAC-AUT-13, NAD-AUTH-79).
func Tenants(names ...string) []auth.Resource {
	var out []auth.Resource
	seen := map[string]bool{}
	for _, n := range names {
		if n = cmp.Or(n, naming.Public); !seen[n] {
			seen[n] = true
			out = append(out, auth.Resource{Kind: KindConfig, Namespace: n})
		}
	}
	return out
}

// Naming asks for a right on the service that a gRPC call names (NAC-AUT-12).
func Naming(p auth.Plane, a auth.Action) Access {
	return For(p, a, NamingResource)
}

// Valid says whether the access says anything.
func (a Access) Valid() bool {
	return a.plane != 0 && (a.open || a.resource != nil || a.each != nil)
}

// Plane is the plane that the route belongs to.
func (a Access) Plane() auth.Plane { return a.plane }

// IsOpen says whether the route answers everybody.
func (a Access) IsOpen() bool { return a.open }

// Requests are the questions about one call, at least one.
func (a Access) Requests(param Source) []auth.Request {
	if a.each == nil {
		return []auth.Request{{Resource: a.resource(param), Action: a.action}}
	}
	resources := a.each(param)
	out := make([]auth.Request, len(resources))
	for i, r := range resources {
		out[i] = auth.Request{Resource: r, Action: a.action}
	}
	return out
}

// NamingResource is the service that a gRPC call names, as its handler reads it;
// without a service it is all of a group (NAD-AUTH-79).
func NamingResource(param Source) auth.Resource {
	r := auth.Resource{Kind: KindNaming, Namespace: param("namespace"), Group: param("groupName")}
	service := param("serviceName")
	if service == "" {
		return r
	}
	k := naming.Key(r.Namespace, r.Group, service)
	r.Namespace, r.Group, r.Name = k.Namespace, k.Group, k.Name
	return r
}
