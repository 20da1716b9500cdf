package namingrpc

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// request is what all requests about services have in common, and the keys of
// the single ones.
type request struct {
	namespace, group, service string

	kind        string // "type"
	instance    gjson.Result
	instances   gjson.Result
	cluster     string // of a query
	clusters    string // of a subscription
	healthyOnly bool
	subscribe   bool
	page, size  int
}

func parse(b stream.Body) (r request) {
	b.Fields(func(key string, v gjson.Result) {
		switch key {
		case "namespace":
			r.namespace = v.String()
		case "groupName":
			r.group = v.String()
		case "serviceName":
			r.service = v.String()
		case "type":
			r.kind = v.String()
		case "instance":
			r.instance = v
		case "instances":
			r.instances = v
		case "cluster":
			r.cluster = v.String()
		case "clusters":
			r.clusters = v.String()
		case "healthyOnly", "healthOnly": // NAC-QRK-30
			r.healthyOnly = r.healthyOnly || v.Bool()
		case "subscribe":
			r.subscribe = v.Bool()
		case "pageNo":
			r.page = integer(v)
		case "pageSize":
			r.size = integer(v)
		}
	})
	return r
}

// integer is a number that may have any size, made one that fits.
func integer(v gjson.Result) int {
	const most = 1 << 30
	return int(min(max(v.Int(), 0), most))
}

// key checks the names of a request and returns the service.
func (r *request) key() (registry.ServiceKey, error) {
	k := naming.Key(r.namespace, r.group, r.service)
	names := naming.Names{Namespace: k.Namespace, Group: k.Group, Service: k.Name, Clusters: r.cluster}
	if names.Clusters == "" {
		names.Clusters = r.clusters
	}
	if err := naming.CheckFormat(&names); err != nil {
		return k, err
	}
	if k.Name == "" {
		return k, bad("Param 'serviceName' is illegal, serviceName is blank")
	}
	return k, nil
}

func bad(detail string) error { return &naming.Error{Reason: naming.BadInstance, Detail: detail} }

// instanceOf reads an instance (NAC-NAM-01..09); what is missing or null has its
// default. Whether it is ephemeral is said by the class of the request.
func instanceOf(v gjson.Result) (naming.Instance, error) {
	in := naming.NewInstance("", 0)
	port := ""
	stream.Body{Result: v}.Fields(func(key string, v gjson.Result) {
		if v.Type == gjson.Null {
			return
		}
		switch key {
		case "ip":
			in.IP = v.String()
		case "port":
			port = v.String()
		case "weight":
			in.Weight = v.Float()
		case "healthy":
			in.Healthy = v.Bool()
		case "enabled":
			in.Enabled = v.Bool()
		case "clusterName":
			in.Cluster = v.String()
		case "instanceId":
			in.ID = v.String()
		case "metadata":
			in.Metadata = pairsOf(v)
		}
	})
	names := naming.Names{Cluster: in.Cluster, IP: in.IP, Port: port, Metadata: in.Metadata}
	if err := naming.CheckFormat(&names); err != nil {
		return in, err
	}
	if in.IP == "" {
		return in, bad("Param 'ip' is illegal, ip is blank")
	}
	if port != "" {
		n, err := naming.ParsePort(port)
		if err != nil {
			return in, err
		}
		in.Port = n
	}
	return in, nil
}

// pairsOf reads metadata; of equal keys the last one counts, null is a blank
// text.
func pairsOf(v gjson.Result) registry.Pairs {
	if !v.IsObject() {
		return nil
	}
	var out registry.Pairs
	v.ForEach(func(k, v gjson.Result) bool {
		out = append(out, registry.Pair{Key: k.String(), Value: v.String()})
		return true
	})
	slices.SortStableFunc(out, func(a, b registry.Pair) int { return strings.Compare(a.Key, b.Key) })
	last := out[:0]
	for i := range out {
		if i+1 < len(out) && out[i].Key == out[i+1].Key {
			continue
		}
		last = append(last, out[i])
	}
	return last
}
