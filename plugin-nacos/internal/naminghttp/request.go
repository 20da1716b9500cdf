package naminghttp

import (
	"errors"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// generation is how one version of the API reads parameters and answers.
type generation uint8

const (
	// v1 trims values, takes a grouped service name and words for booleans, and
	// answers plain texts.
	v1 generation = iota + 1
	// v2 takes exact values and answers a Result.
	v2
	// v3 is v2 with errors in the envelope throughout.
	v3
)

// request is one call whose names passed the parameter check.
type request struct {
	*web.Call
	gen generation
	key registry.ServiceKey
}

// read checks the names that a call carries, before anything else is looked at
// (NAD-GEN-28).
func (g generation) read(c *web.Call) (request, error) {
	r := request{Call: c, gen: g}
	n := naming.Names{
		Namespace: r.text("namespaceId"), Clusters: r.text("clusters"), Cluster: r.cluster(), IP: r.text("ip"), Port: r.text("port"),
	}
	group, service := r.text("groupName"), r.text("serviceName")
	var split bool
	if g == v1 && strings.Contains(service, naming.Separator) { // NAC-HTP-04
		group, service, split = strings.Cut(service, naming.Separator)
	}
	r.key = g.key(c.Param)
	if n.Group, n.Service = group, service; g != v1 && service != "" {
		n.Group, n.Service = r.key.Group, r.key.Name
	}
	if g != v1 { // a list comes under the same name
		n.Cluster, n.Clusters = "", n.Cluster
	}
	if err := naming.CheckFormat(&n); err != nil {
		return r, err
	}
	switch {
	case split && group == "":
		return r, badName("Param 'serviceName' is illegal, groupName can't be empty")
	case split && service == "":
		return r, badName("Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'")
	}
	return r, nil
}

// badName is what the reference refuses between the check and the handler.
func badName(why string) error {
	return &naming.Error{Reason: naming.BadName, Detail: "Service name filter error,caused: " + why + ";"}
}

// key is the service that a call names.
func (g generation) key(param authmap.Source) registry.ServiceKey {
	namespace, group, service := param("namespaceId"), param("groupName"), param("serviceName")
	if g == v1 {
		namespace, group, service = strings.TrimSpace(namespace), strings.TrimSpace(group), strings.TrimSpace(service)
		if strings.Contains(service, naming.Separator) {
			group = "" // that of the name counts
		}
	}
	return naming.Key(namespace, group, service)
}

// resource is the service that a call names, as grants name it; without a name it
// is all of the group.
func (g generation) resource(param authmap.Source) auth.Resource { return resourceOf(g.key(param)) }

func resourceOf(k registry.ServiceKey) auth.Resource {
	return auth.Resource{Kind: authmap.KindNaming, Namespace: k.Namespace, Group: k.Group, Name: k.Name}
}

// text is a parameter, blank when absent.
func (r *request) text(name string) string {
	if r.gen == v1 {
		return strings.TrimSpace(r.Param(name)) // NAC-HTP-03
	}
	return r.Param(name)
}

// cluster is the one that a call names, blank for none.
func (r *request) cluster() string {
	if c := r.text("clusterName"); c != "" {
		return c
	}
	return r.text("cluster")
}

// typeOf is the type of a parameter as a Result names it.
func typeOf(name string) string {
	switch name {
	case "port", "pageNo", "pageSize":
		return "Integer"
	case "weight":
		return "Double"
	case "healthy", "enabled":
		return "Boolean"
	}
	return "String"
}

// need refuses the first of the parameters that is missing or blank.
func (r *request) need(names ...string) error {
	for _, n := range names {
		if strings.TrimSpace(r.Param(n)) == "" {
			return &web.MissingError{Name: n, Type: typeOf(n)}
		}
	}
	return nil
}

// needInSignature is need in the words that V1 has for some of its endpoints.
func (r *request) needInSignature(names ...string) error {
	for _, n := range names {
		if strings.TrimSpace(r.Param(n)) == "" {
			return &web.MissingError{Name: n, Type: typeOf(n), Signature: true}
		}
	}
	return nil
}

// number is a parameter of type double.
func (r *request) number(name string, otherwise float64) (float64, error) {
	text := strings.TrimSpace(r.Param(name))
	if text == "" {
		return otherwise, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, &web.ConvertError{Name: name, Value: text}
	}
	return f, nil
}

// integer is a parameter of type int.
func (r *request) integer(name string, otherwise int) (int, error) {
	text := strings.TrimSpace(r.Param(name))
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, &web.ConvertError{Name: name, Value: text}
	}
	return int(n), nil
}

// lenient is an int of V1 lists, 0 when it is none.
func (r *request) lenient(name string) int {
	n, err := r.integer(name, 0)
	if err != nil {
		return 0
	}
	return n
}

// flag is a boolean. V1 takes any word and holds the unknown ones for false; the
// others refuse them.
func (r *request) flag(name string, otherwise bool) (bool, error) {
	text := strings.TrimSpace(r.Param(name))
	switch strings.ToLower(text) {
	case "":
		return otherwise, nil
	case "true", "on", "yes":
		return true, nil
	case "false", "off", "no":
		return false, nil
	case "y", "t":
		if r.gen == v1 {
			return true, nil
		}
	case "1", "0":
		if r.gen != v1 {
			return text == "1", nil
		}
	}
	if r.gen == v1 {
		return false, nil
	}
	return false, &web.ConvertError{Name: name, Value: text}
}

// is is flag where the reference cannot fail.
func (r *request) is(name string) bool {
	b, err := r.flag(name, false)
	return b && err == nil
}

// target reads the address of an instance.
func (r *request) target() (naming.Target, error) {
	if err := r.need("serviceName", "ip", "port"); err != nil {
		return naming.Target{}, err
	}
	port, err := naming.ParsePort(r.text("port"))
	return naming.Target{IP: r.text("ip"), Port: port, Cluster: r.cluster()}, err
}

// instance reads an instance with the defaults of NAC-H1N-01. Like the key it is part
// of the request, which may be large: who keeps some of it makes a copy, as core does.
func (r *request) instance() (naming.Instance, error) {
	t, err := r.target()
	if err != nil {
		return naming.Instance{}, err
	}
	in := naming.NewInstance(t.IP, t.Port)
	in.Cluster = t.Cluster
	in.NoID = r.gen != v1 // NAC-NAM-01
	if in.Metadata, err = r.instanceMetadata(); err != nil {
		return in, err
	}
	if in.Weight, err = r.number("weight", 1); err != nil {
		return in, err
	}
	if err := naming.CheckWeight(in.Weight); err != nil {
		return in, err
	}
	if in.Healthy, err = r.flag("healthy", true); err != nil {
		return in, err
	}
	enabled := "enabled"
	if r.gen == v1 && r.text(enabled) == "" {
		enabled = "enable" // NAC-QRK-19
	}
	in.Enabled, err = r.flag(enabled, true)
	return in, err
}

// metadata reads metadata in any form, of any length that is kept.
func (r *request) metadata() (registry.Pairs, error) { return parseMetadata(r.Param("metadata")) }

// instanceMetadata is metadata, which is short for instances (NAD-GEN-48).
func (r *request) instanceMetadata() (registry.Pairs, error) {
	m, err := r.metadata()
	if errors.Is(err, kv.ErrTooLarge) {
		return nil, &naming.Error{Reason: naming.BadFormat, Detail: "Param 'Metadata' is illegal, the param length should not exceed 1024."}
	}
	if err != nil {
		return nil, err
	}
	return m, naming.CheckFormat(&naming.Names{Metadata: m})
}

// ownKey is the key for what is kept.
func (r *request) ownKey() registry.ServiceKey {
	return registry.ServiceKey{
		Namespace: strings.Clone(r.key.Namespace), Group: strings.Clone(r.key.Group), Name: strings.Clone(r.key.Name),
	}
}

// ephemeral says which kind of instance a call means.
func (r *request) ephemeral() (bool, error) { return r.flag("ephemeral", true) }

// done answers that a write succeeded.
func (r *request) done() error {
	if r.gen == v1 {
		return r.Plain("ok")
	}
	return r.Data("ok")
}

// answer answers a value: bare, or in a Result.
func (r *request) answer(v any) error {
	if r.gen == v1 {
		return r.JSON(v)
	}
	return r.Data(v)
}
