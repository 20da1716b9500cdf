package authmap

import (
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
}

// Open answers everybody: health, login, the first administrator
// (NAD-AUTH-41).
func Open(p auth.Plane) Access { return Access{plane: p, open: true} }

// For asks for a right on the resource that a function reads from the parameters.
// It must find what the handler acts on, or the right that is asked is another's.
func For(p auth.Plane, a auth.Action, resource func(Source) auth.Resource) Access {
	return Access{plane: p, action: a, resource: resource}
}

// Config asks for a right on the config that the parameters name (NAD-AUTH-79).
func Config(p auth.Plane, a auth.Action) Access {
	return For(p, a, ConfigResource)
}

// Naming asks for a right on the service that the parameters name
// (NAC-AUT-12).
func Naming(p auth.Plane, a auth.Action) Access {
	return For(p, a, NamingResource)
}

// Valid says whether the access says anything.
func (a Access) Valid() bool { return a.plane != 0 && (a.open || a.resource != nil) }

// Plane is the plane that the route belongs to.
func (a Access) Plane() auth.Plane { return a.plane }

// IsOpen says whether the route answers everybody.
func (a Access) IsOpen() bool { return a.open }

// Request is the question about one call.
func (a Access) Request(param Source) auth.Request {
	return auth.Request{Resource: a.resource(param), Action: a.action}
}

// ConfigResource reads the resource from the parameters of any API version;
// what is blank means all.
func ConfigResource(param Source) auth.Resource {
	return auth.Resource{
		Kind:      KindConfig,
		Namespace: first(param, "namespaceId", "tenant"),
		Group:     first(param, "groupName", "group"),
		Name:      param("dataId"),
	}
}

// NamingResource reads the resource from the parameters of any API version. The
// group in a grouped name is the one that counts; without a service it is all of
// a group (NAD-AUTH-79).
func NamingResource(param Source) auth.Resource {
	r := auth.Resource{Kind: KindNaming, Namespace: first(param, "namespaceId", "namespace"), Group: param("groupName")}
	service := param("serviceName")
	if service == "" {
		return r
	}
	if group, name, ok := naming.Split(service); ok {
		r.Group, service = group, name
	}
	k := naming.Key(r.Namespace, r.Group, service)
	r.Namespace, r.Group, r.Name = k.Namespace, k.Group, k.Name
	return r
}

func first(param Source, names ...string) string {
	for _, n := range names {
		if v := param(n); v != "" {
			return v
		}
	}
	return ""
}
