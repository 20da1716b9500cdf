package nacos_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

// openAdmin lets everybody use the endpoints of operators.
func openAdmin() plugintest.Settings {
	return plugintest.Settings{Values: map[string]any{"auth": map[string]any{"admin_enabled": false}}}
}

// exchange is a request and its whole answer.
type exchange struct {
	method, target string
	status         int
	body           string
}

// play sends requests in order.
func (s *site) play(exchanges []exchange) {
	s.t.Helper()
	for _, e := range exchanges {
		a := s.call(e.method, e.target, "", "")
		if a.status != e.status || a.body != e.body {
			s.t.Errorf("%s %s = %d %s, want %d %s", e.method, e.target, a.status, a.body, e.status, e.body)
		}
	}
}

const (
	get  = http.MethodGet
	put  = http.MethodPut
	post = http.MethodPost
	del  = http.MethodDelete

	ns1 = "/nacos/v1/ns"
	ns2 = "/nacos/v2/ns"

	okV2 = `{"code":0,"message":"success","data":"ok"}`
)

// NAC-H1N-10..15, 17, NAC-H2-30..33, NAC-NAM-64: a service is created, read,
// changed, listed and removed, by V1 and V2 alike.
func TestServices(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const label = "%7B%22type%22:%22label%22,%22expression%22:%22CONSUMER.label.A%20=%20PROVIDER.label.A%22%7D"
	s.play([]exchange{
		{post, ns1 + "/service?serviceName=a&protectThreshold=0.3&metadata=k%3Dv", 200, "ok"},
		{post, ns1 + "/service?serviceName=a", 400, "specified service DEFAULT_GROUP@@a already exists!"},
		{get, ns1 + "/service?serviceName=a", 200, `{"namespaceId":"public","groupName":"DEFAULT_GROUP","name":"a","protectThreshold":0.3,"metadata":{"k":"v"},"selector":{"type":"none","contextType":"NONE"},"clusters":[]}`},
		{put, ns1 + "/service?serviceName=a&protectThreshold=lots&selector=" + label, 200, "ok"},
		{get, ns2 + "/service?serviceName=a", 200, `{"code":0,"message":"success","data":{"namespace":"public","serviceName":"a","groupName":"DEFAULT_GROUP","clusterMap":{},"metadata":{},"protectThreshold":0,"selector":{"type":"label","expression":"CONSUMER.label.A = PROVIDER.label.A","labels":["A"],"contextType":"CMDB"},"ephemeral":false}}`},
		{post, ns2 + "/service?serviceName=b&ephemeral=true&groupName=G", 200, okV2},
		{post, ns2 + "/service?serviceName=b&groupName=G", 400, `{"code":21007,"message":"service already exist","data":"specified service G@@b already exists!"}`},
		{get, ns2 + "/service?serviceName=b&groupName=G", 200, `{"code":0,"message":"success","data":{"namespace":"public","serviceName":"b","groupName":"G","clusterMap":{},"metadata":{},"protectThreshold":0,"selector":{"type":"none","contextType":"NONE"},"ephemeral":true}}`},
		// Its kind is fixed by its creation (NAD-NSEM-50).
		{post, ns1 + "/instance?serviceName=G@@b&ip=10.0.0.1&port=80&ephemeral=false", 400, "errCode: 400, errMsg: Current service G@@b is ephemeral service, can't register persistent instance. "},
		{post, ns2 + "/service?serviceName=c&namespaceId=n1", 200, okV2},
		{get, ns1 + "/service/list?pageNo=1&pageSize=10", 200, `{"count":1,"doms":["a"]}`},
		{get, ns1 + "/service/list?pageNo=0&pageSize=10&groupName=G", 200, `{"count":1,"doms":["b"]}`},
		{get, ns1 + "/service/list?pageNo=2&pageSize=10", 200, `{"count":1,"doms":[]}`},
		{get, ns2 + "/service/list", 200, `{"code":0,"message":"success","data":{"count":1,"services":["a"]}}`},
		{get, ns1 + "/service/names", 200, `{"META-INF/services":{"n1":["DEFAULT_GROUP@@c"],"public":["DEFAULT_GROUP@@a","G@@b"]},"count":3}`},
		{get, ns1 + "/service/names?namespaceId=public&expr=b", 200, `{"META-INF/services":{"public":["G@@b"]},"count":1}`},
		{get, ns1 + "/service/selector/types", 200, `{"code":200,"message":null,"data":["none","label"],"noRight":false}`},
		{get, ns1 + "/service/subscribers?serviceName=a", 200, `{"subscribers":[],"count":0}`},
		{put, ns2 + "/service?serviceName=b&groupName=G&metadata=x%3Dy&protectThreshold=0.5", 200, okV2},
		{get, ns1 + "/service?serviceName=G@@b", 200, `{"namespaceId":"public","groupName":"G","name":"b","protectThreshold":0.5,"metadata":{"x":"y"},"selector":{"type":"none","contextType":"NONE"},"clusters":[]}`},
		// Short metadata is asked of instances alone (NAD-GEN-48).
		{put, ns2 + "/service?serviceName=b&groupName=G&metadata=k%3D" + strings.Repeat("v", 2000), 200, okV2},
		{del, ns2 + "/service?serviceName=b&groupName=G", 200, okV2},
		{del, ns1 + "/service?serviceName=a", 200, "ok"},
		{del, ns1 + "/service?serviceName=c&namespaceId=n1", 200, "ok"},
	})
	s.nothingStored()
}

// NAC-H1N-03..05, 08, NAC-H2-21, 22, 24, NAC-NAM-55: what an operator lays over an
// instance replaces what the client said and outlives it.
func TestOperatedInstances(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const at = "serviceName=s&ip=10.0.0.1&port=80"
	shown := func(weight, metadata string) string {
		return `{"service":"DEFAULT_GROUP@@s","ip":"10.0.0.1","port":80,"clusterName":"DEFAULT","weight":` + weight +
			`,"healthy":true,"instanceId":"10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@s","metadata":` + metadata + `}`
	}
	s.play([]exchange{
		{post, ns1 + "/instance?" + at + "&metadata=m%3D1", 200, "ok"},
		{put, ns1 + "/instance?" + at + "&weight=7&metadata=op%3Dx", 200, "ok"},
		{get, ns1 + "/instance?" + at, 200, shown("7", `{"m":"1","op":"x"}`)},
		{post, ns1 + "/instance?" + at + "&metadata=m%3D2", 200, "ok"},
		{get, ns1 + "/instance?" + at, 200, shown("7", `{"m":"2","op":"x"}`)},
		{http.MethodPatch, ns1 + "/instance?" + at + "&metadata=p%3D1", 200, "ok"},
		{get, ns1 + "/instance?" + at, 200, shown("7", `{"m":"2","p":"1"}`)},
		{http.MethodPatch, ns1 + "/instance?" + at + "&weight=4.5&healthy=false", 200, "ok"},
		{get, ns1 + "/instance?" + at, 200, shown("4.5", `{"m":"2","p":"1"}`)},
		{http.MethodPatch, ns2 + "/instance?serviceName=DEFAULT_GROUP@@s&ip=10.0.0.1&port=80&weight=6&enabled=true&metadata=q%3Dr", 200, "ok"},
		{get, ns2 + "/instance?" + at, 200, `{"code":0,"message":"success","data":{"serviceName":"DEFAULT_GROUP@@s","ip":"10.0.0.1","port":80,"clusterName":"DEFAULT","weight":6,"healthy":true,"instanceId":"10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@s","metadata":{"m":"2","q":"r"}}}`},
		{put, ns1 + "/instance/metadata/batch?serviceName=s&metadata=b%3D1", 200, `{"updated":["10.0.0.1:80:unknown:DEFAULT:ephemeral"]}`},
		{get, ns1 + "/instance?" + at, 200, shown("6", `{"b":"1","m":"2","q":"r"}`)},
		{put, ns1 + "/instance/metadata/batch?serviceName=s&metadata=c%3D1&instances=%5B%7B%22ip%22:%2210.0.0.2%22,%22port%22:80%7D%5D", 200, `{"updated":[]}`},
		{put, ns1 + "/instance/metadata/batch?serviceName=s&metadata=c%3D1&consistencyType=persist&instances=%5B%7B%22ip%22:%2210.0.0.1%22,%22port%22:80%7D%5D", 200, `{"updated":[]}`},
		{del, ns2 + "/instance/metadata/batch?serviceName=s&metadata=b%3D", 400, `{"code":21002,"message":"instance metadata error","data":"metadata format incorrect"}`},
		{del, ns2 + "/instance/metadata/batch?serviceName=s&metadata=%7B%22b%22:%22%22%7D&instances=%5B%7B%22ip%22:%2210.0.0.1%22,%22port%22:80%7D%5D", 200, `{"code":0,"message":"success","data":{"updated":["10.0.0.1:80:unknown:DEFAULT:ephemeral"]}}`},
		{get, ns1 + "/instance?" + at, 200, shown("6", `{"m":"2","q":"r"}`)},
		{http.MethodPatch, ns1 + "/instance?" + at + "&enabled=false", 200, "ok"},
	})
	if l := s.listed("serviceName=s"); len(l.Hosts) != 0 {
		t.Errorf("list with a disabled instance = %+v, want none", l.Hosts)
	}
	large := strings.Repeat(`{"ip":"10.0.0.1","port":80},`, 1<<20/27)
	a := s.form(put, ns1+"/instance/metadata/batch", fields("serviceName", "s", "metadata", "z=1", "instances", "["+large+"{}]"))
	s.want(a, http.StatusRequestEntityTooLarge, "request body too large")
}

// NAC-H1N-18, 19, 28, 50..52, NAC-H2-40..43, 50, 52, NAC-NAM-61: persistent
// instances, how their health is checked and set, and what operators see.
func TestPersistentInstances(t *testing.T) {
	s := newSite(t, openAdmin())
	const (
		at      = "serviceName=p&ip=10.0.0.1&port=80"
		cluster = "serviceName=p&clusterName=DEFAULT&checkPort=81&useInstancePort4Check=false&healthChecker="
		host    = `{"instanceId":"10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@p","ip":"10.0.0.1","port":80,"weight":1,"healthy":false,"enabled":true,"ephemeral":false,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@p","metadata":{},"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000,"instanceIdGenerator":"simple"}`
		busy    = "health check is still working, service: DEFAULT_GROUP@@p, cluster: DEFAULT"
	)
	s.play([]exchange{
		{post, ns1 + "/instance?" + at + "&ephemeral=false", 200, "ok"},
		{post, ns1 + "/instance?serviceName=p&ip=10.0.0.1&port=81", 400, "errCode: 400, errMsg: Current service DEFAULT_GROUP@@p is persistent service, can't register ephemeral instance. "},
		{put, ns1 + "/instance/beat?" + at, 200, `{"clientBeatInterval":5000,"code":20404,"lightBeatEnabled":true}`},
		{put, ns1 + "/health?" + at + "&healthy=false", 400, busy},
		{put, ns2 + "/health?" + at + "&healthy=false", 400, `{"code":30000,"message":"server error","data":"` + busy + `"}`},
		{put, ns1 + "/cluster?" + cluster + "%7B%22type%22:%22HTTP%22,%22path%22:%22/h%22%7D&metadata=c%3D1", 200, "ok"},
		{get, ns1 + "/service?serviceName=p", 200, `{"namespaceId":"public","groupName":"DEFAULT_GROUP","name":"p","protectThreshold":0,"metadata":{},"selector":{"type":"none","contextType":"NONE"},"clusters":[{"name":"DEFAULT","healthChecker":{"type":"HTTP","path":"/h","headers":"","expectedResponseCode":200},"metadata":{"c":"1"}}]}`},
		{put, ns1 + "/cluster?" + cluster + "%7B%22type%22:%22MYSQL%22,%22user%22:%22u%22,%22cmd%22:%22c%22%7D", 200, "ok"},
		{get, ns2 + "/service?serviceName=p", 200, `{"code":0,"message":"success","data":{"namespace":"public","serviceName":"p","groupName":"DEFAULT_GROUP","clusterMap":{"DEFAULT":{"clusterName":"DEFAULT","healthChecker":{"type":"MYSQL","user":"u","pwd":"","cmd":"c"},"metadata":{},"hosts":null}},"metadata":{},"protectThreshold":0,"selector":{"type":"none","contextType":"NONE"},"ephemeral":false}}`},
		{put, ns1 + "/cluster?" + cluster + "%7B%22type%22:%22NONE%22%7D", 200, "ok"},
		{put, ns1 + "/health?" + at + "&valid=false", 200, "ok"},
		{put, ns1 + "/health/instance?serviceName=p&ip=10.0.0.1&port=9&healthy=true", 200, "ok"},
		{get, ns1 + "/instance/statuses?key=public%23%23DEFAULT_GROUP@@p", 200, `{"ips":["10.0.0.1:80_false"]}`},
		{get, ns1 + "/catalog/service?serviceName=p", 200, `{"service":{"name":"p","groupName":"DEFAULT_GROUP","protectThreshold":0,"selector":{"type":"none","contextType":"NONE"},"metadata":{}},"clusters":[{"serviceName":"DEFAULT_GROUP@@p","name":"DEFAULT","healthChecker":{"type":"NONE"},"defaultPort":80,"defaultCheckPort":81,"useIpPort4Check":false,"metadata":{}}]}`},
		{get, ns1 + "/catalog/instances?serviceName=p&clusterName=DEFAULT&pageNo=1&pageSize=5", 200, `{"list":[` + host + `],"count":1}`},
		{get, ns1 + "/catalog/instances?serviceName=p&clusterName=DEFAULT&pageNo=2&pageSize=5", 200, `{"list":[],"count":1}`},
		{get, ns1 + "/catalog/instances?serviceName=p&clusterName=zz&pageNo=1&pageSize=5", 404, "cluster zz is not found!"},
		{get, ns2 + "/catalog/instances?serviceName=p&pageNo=1&pageSize=5", 200, `{"code":0,"message":"success","data":{"instances":[` + host + `],"count":1}}`},
		{get, ns2 + "/catalog/instances?serviceName=p&pageNo=1&pageSize=5&healthyOnly=true", 200, `{"code":0,"message":"success","data":{"instances":[],"count":0}}`},
		{get, ns1 + "/catalog/services?pageNo=1&pageSize=5", 200, `{"count":1,"serviceList":[{"name":"p","groupName":"DEFAULT_GROUP","clusterCount":1,"ipCount":1,"healthyInstanceCount":0,"triggerFlag":"true"}]}`},
		{get, ns1 + "/catalog/services?pageNo=1&pageSize=5&serviceNameParam=x", 200, `{"count":0,"serviceList":[]}`},
		{get, ns1 + "/catalog/services?pageNo=1&pageSize=5&withInstances=true", 200, `[{"namespace":null,"serviceName":"p","groupName":"DEFAULT_GROUP","clusterMap":{"DEFAULT":{"clusterName":null,"healthChecker":null,"metadata":null,"hosts":[{"valid":false,"metadata":{},"port":80,"ip":"10.0.0.1","weight":1,"enabled":true}]}},"metadata":{},"protectThreshold":0,"selector":null,"ephemeral":null}]`},
		{del, ns1 + "/service?serviceName=p", 400, "Service DEFAULT_GROUP@@p is not empty, can't be delete. Please unregister instance first"},

		{get, ns2 + "/client/list", 200, `{"code":0,"message":"success","data":["10.0.0.1:80#false"]}`},
		{get, ns2 + "/client/publish/list?clientId=10.0.0.1:80%23false", 200, `{"code":0,"message":"success","data":[{"namespace":"public","group":"DEFAULT_GROUP","serviceName":"p","registeredInstance":{"ip":"10.0.0.1","port":80,"cluster":"DEFAULT"}}]}`},
		{get, ns2 + "/client/subscribe/list?clientId=10.0.0.1:80%23false", 200, `{"code":0,"message":"success","data":[]}`},
		{get, ns2 + "/client/service/publisher/list?serviceName=p&ip=10.0.0.1&port=80", 200, `{"code":0,"message":"success","data":[{"ip":"10.0.0.1","port":80,"cluster":"DEFAULT","clientId":"10.0.0.1:80#false"}]}`},
		{get, ns2 + "/client/service/publisher/list?serviceName=p", 200, `{"code":0,"message":"success","data":[]}`},
		{get, ns2 + "/client/service/subscriber/list?serviceName=p", 200, `{"code":0,"message":"success","data":[]}`},

		{del, ns1 + "/instance?" + at, 200, "ok"}, // the other kind: nothing happens
		{get, ns1 + "/instance/statuses?key=DEFAULT_GROUP@@p", 200, `{"ips":["10.0.0.1:80_false"]}`},
		{del, ns1 + "/instance?" + at + "&ephemeral=false", 200, "ok"},
		{del, ns1 + "/service?serviceName=p", 200, "ok"},
	})
	a := s.get(ns2 + "/client?clientId=10.0.0.1:80%23false")
	if a.status != http.StatusNotFound {
		t.Errorf("client after its last instance = %d %s, want 404", a.status, a.body)
	}
	s.nothingStored()
}
