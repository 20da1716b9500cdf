package nacos_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

const (
	illegal   = "is illegal, illegal characters should not appear in the param.\r\n"
	badPort   = "Param 'port' is illegal, the value should be between 0 and 65535.\r\n"
	badWeight = "instance format invalid: The weights range from 0.0 to 10000.0"
	tooLong   = "Param 'Metadata' is illegal, the param length should not exceed 1024.\r\n"
)

// bad is what is wrong with one parameter of a good call, and the answer of V1,
// V2 and V3. An answer is a status and a part of the body.
type bad struct {
	name       string
	value      string // "-": not sent
	v1, v2, v3 refused
}

type refused struct {
	status int
	part   string
}

// NAC-HTP-03, 07..09, NAC-NAM-03, 05, 07, 09, NAC-QRK-37, NAD-GEN-28, 40..48: what
// is wrong with a registration, an update or a deregistration is refused in the
// words of its generation, and nothing is stored.
func TestBadInstances(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	missing := func(name, kind string) (v1, v2, v3 refused) {
		r := refused{400, `"code":10000,"message":"parameter missing","data":"Required parameter '` + name + `' type ` + kind + ` is not present"`}
		return refused{400, "Param '" + name + "' is required."}, r, r
	}
	format := func(text string) (v1, v2, v3 refused) {
		return refused{400, text}, refused{400, text}, refused{400, `"code":20002,"message":"parameter validate error","data":"` + strings.TrimSuffix(text, "\r\n")}
	}
	coded := func(status int, text, code string) (v1, v2, v3 refused) {
		r := refused{status, `"code":` + code + `,`}
		return refused{status, text}, r, r
	}
	number := func(value string) (v1, v2, v3 refused) {
		return refused{400, `For input string: "` + value + `"`}, refused{500, `"code":30000`}, refused{400, `"code":20002`}
	}
	var cases []bad
	add := func(name, value string, v1, v2, v3 refused) { cases = append(cases, bad{name, value, v1, v2, v3}) }
	with := func(name, value string, f func() (refused, refused, refused)) {
		v1, v2, v3 := f()
		add(name, value, v1, v2, v3)
	}
	for name, kind := range map[string]string{"serviceName": "String", "ip": "String", "port": "Integer"} {
		for _, value := range []string{"-", ""} {
			with(name, value, func() (v1, v2, v3 refused) { return missing(name, kind) })
		}
	}
	for _, value := range []string{"x", "-1", "65536", "99999999999999999999", "1.5", "0x50"} {
		with("port", value, func() (v1, v2, v3 refused) { return format(badPort) })
	}
	for _, c := range []struct{ name, value, param string }{
		{"ip", "10.0.0 .1", "ip"},
		{"ip", "主机", "ip"},
		{"serviceName", "a b", "serviceName"},
		{"serviceName", "服务", "serviceName"},
		{"serviceName", "g@@s@@t", "serviceName"},
		{"serviceName", "@x", "serviceName"},
		{"groupName", "a/b", "group"},
		{"groupName", "a b", "group"},
		{"namespaceId", "a b", "namespaceId/tenant"},
		{"namespaceId", "名", "namespaceId/tenant"},
		{"clusterName", "a b", "cluster"},
		{"clusterName", "a/b", "cluster"},
	} {
		with(c.name, c.value, func() (v1, v2, v3 refused) { return format("Param '" + c.param + "' " + illegal) })
	}
	for _, c := range []struct{ name, param, limit string }{
		{"serviceName", "serviceName", "512"},
		{"groupName", "group", "128"},
		{"namespaceId", "namespaceId/tenant", "64"},
		{"clusterName", "cluster", "64"},
		{"ip", "ip", "128"},
	} {
		with(c.name, strings.Repeat("s", 2000), func() (v1, v2, v3 refused) {
			return format("Param '" + c.param + "' is illegal, the param length should not exceed " + c.limit + ".\r\n")
		})
	}
	with("clusterName", "a_b", func() (v1, v2, v3 refused) {
		return coded(400, "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)", "21004")
	})
	for _, value := range []string{"-1", "10001", "1e300", "Infinity"} {
		with("weight", value, func() (v1, v2, v3 refused) { return coded(400, badWeight, "21001") })
	}
	for _, value := range []string{"heavy", "1,5", "0x"} {
		with("weight", value, func() (v1, v2, v3 refused) { return number(value) })
	}
	for _, value := range []string{"novalue", "a=b=c", "{bad", "[]", `{"a":{}}`, strings.Repeat(`{"a":`, 5000)} {
		with("metadata", value, func() (v1, v2, v3 refused) { return coded(400, "metadata format incorrect", "21002") })
	}
	for _, value := range []string{"k=" + strings.Repeat("v", 1024), `{"k":"` + strings.Repeat("v", 1<<20) + `"}`} {
		with("metadata", value, func() (v1, v2, v3 refused) { return format(tooLong) })
	}
	for _, value := range []string{`{"preserved.heart.beat.timeout":"1"}`, "preserved.ip.delete.timeout=3000"} {
		with("metadata", value, func() (v1, v2, v3 refused) {
			return coded(400, "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'.", "21004")
		})
	}
	for _, name := range []string{"healthy", "enabled", "ephemeral"} {
		_, v2, v3 := number("maybe")
		add(name, "maybe", refused{}, v2, v3)
	}
	servlet := func(why string) refused {
		return refused{400, `"status":400,"error":"Bad Request","message":"Service name filter error,caused: Param 'serviceName' is illegal, ` + why + `;"`}
	}
	_, v2, v3 := format("Param 'serviceName' " + illegal)
	add("serviceName", "@@x", servlet("groupName can't be empty"), v2, v3)
	add("serviceName", "g@@", servlet("it should be format as 'groupName@@serviceName'"), v2, v3)

	paths := map[string]func(*bad) refused{
		instance:                       func(b *bad) refused { return b.v1 },
		"/nacos/v2/ns/instance":        func(b *bad) refused { return b.v2 },
		"/nacos/v3/client/ns/instance": func(b *bad) refused { return b.v3 },
	}
	for path, want := range paths {
		for i := range cases {
			b := &cases[i]
			in := fields("serviceName", "bad", "ip", "10.0.0.1", "port", "80", b.name, b.value)
			if b.value == "-" {
				in.Del(b.name)
			}
			w := want(b)
			if w.status == 0 {
				continue
			}
			a := s.form(http.MethodPost, path, in)
			if a.status != w.status || !strings.Contains(a.body, w.part) {
				t.Errorf("POST %s with %s = %.40q: %d %.300q, want %d %q", path, b.name, b.value, a.status, a.body, w.status, w.part)
			}
			if len(a.body) > 4<<10 {
				t.Errorf("POST %s with %s = %.40q: %d bytes of answer, want few", path, b.name, b.value, len(a.body))
			}
		}
	}
	s.nothingStored()
}

// nothingStored looks for services in every namespace.
func (s *site) nothingStored() {
	s.t.Helper()
	s.want(s.get("/nacos/v1/ns/service/names"), http.StatusOK, `{"META-INF/services":{},"count":0}`)
}

// NAC-HTP-02, SEC: requests that are wrong as a whole.
func TestBadNamingRequests(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const urlencoded = "application/x-www-form-urlencoded"
	good := fields("serviceName", "bad", "ip", "10.0.0.1", "port", "80").Encode()
	for name, c := range map[string]struct {
		kind, body string
		status     int
		part       string
	}{
		"an escape that is none": {urlencoded, "serviceName=%zz&ip=10.0.0.1&port=80", 400, "Param 'serviceName' is required."},
		"half an escape":         {urlencoded, "serviceName=bad&ip=10.0.0.1&port=8%", 400, "Param 'port' is required."},
		"not UTF-8":              {urlencoded, "serviceName=%ff%fe&ip=10.0.0.1&port=80", 400, "Param 'serviceName' is required."},
		"two values":             {urlencoded, good + "&port=81", 400, badPort},
		"a zero byte":            {urlencoded, "serviceName=b%00d&ip=10.0.0.1&port=80", 400, "Param 'serviceName' " + illegal},
		"a line break":           {urlencoded, "serviceName=bad&ip=10.0.0.1%0d%0aX&port=80", 400, "Param 'ip' " + illegal},
		"many parameters":        {urlencoded, good + strings.Repeat("&x=1", 1000), 413, "more than 1000 parameters: request body too large"},
		"a large body":           {urlencoded, good + "&x=" + strings.Repeat("%41", 12<<20), 413, "request body too large"},
		"JSON":                   {jsonOnly, `{"serviceName":"bad","ip":"10.0.0.1","port":80}`, 400, "Param 'serviceName' is required."},
		"half a multipart":       {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"serviceName\"\r\n\r\nbad", 400, "Param 'serviceName' is required."},
		"no media type":          {"", good, 400, "Param 'serviceName' is required."},
	} {
		a := s.call(http.MethodPost, instance, c.kind, c.body)
		if a.status != c.status || !strings.Contains(a.body, c.part) {
			t.Errorf("%s = %d %.200q, want %d %q", name, a.status, a.body, c.status, c.part)
		}
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, list},
		{http.MethodPost, instance + "/beat"},
		{http.MethodGet, "/nacos/v1/ns/nothing"},
		{http.MethodPost, "/nacos/v1/ns/operator/metrics"},
		{http.MethodGet, instance + "/"},
	} {
		a := s.call(c.method, c.path, "", "")
		if a.status != http.StatusNotImplemented || !strings.Contains(a.body, `"message":"no such api:`+c.method+":"+c.path+`"`) {
			t.Errorf("%s %s = %d %s, want 501", c.method, c.path, a.status, a.body)
		}
	}
	for _, path := range []string{"/nacos/v1/ns//instance", "/nacos/v1/ns/instance%2flist", "/nacos/v1/ns/instance;x"} {
		if a := s.get(path); a.status != http.StatusBadRequest {
			t.Errorf("GET %s = %d, want 400", path, a.status)
		}
	}
	s.nothingStored()
}

// NAC-H1N-03..19, 50..52, NAC-H2-20..52: one wrong call at least of every other
// endpoint.
func TestBadNamingCalls(t *testing.T) {
	s := newSite(t, plugintest.Settings{Values: map[string]any{"auth": map[string]any{"admin_enabled": false}}})
	const (
		v1, v2  = "/nacos/v1/ns", "/nacos/v2/ns"
		get     = http.MethodGet
		put     = http.MethodPut
		post    = http.MethodPost
		del     = http.MethodDelete
		patch   = http.MethodPatch
		at      = "serviceName=none&ip=10.0.0.1&port=80"
		grouped = "serviceName=G@@none&ip=10.0.0.1&port=80"
		paramOf = "Required parameter '"
	)
	long := strings.Repeat("x", 70<<10)
	for _, c := range []struct {
		method, target string
		status         int
		part           string
	}{
		{get, v1 + "/instance", 400, "Param 'serviceName' is required."},
		{get, v1 + "/instance?serviceName=none&ip=10.0.0.1", 400, "Param 'port' is required."},
		{get, v1 + "/instance?serviceName=none&ip=10.0.0.1&port=x", 400, badPort},
		{get, v1 + "/instance?" + at, 404, "no ips found for cluster DEFAULT in service DEFAULT_GROUP@@none"},
		{get, v1 + "/instance/list", 400, "Param 'serviceName' is required."},
		{get, v1 + "/instance/list?serviceName=none&udpPort=x", 400, `For input string: "x"`},
		{get, v1 + "/instance/list?serviceName=none&clusters=a%20b", 400, "Param 'cluster' " + illegal},
		{del, v1 + "/instance?serviceName=none&port=80", 400, "Param 'ip' is required."},
		{put, v1 + "/instance?" + at, 400, "service not found, namespace: public"},
		{put, v1 + "/instance?" + at + "&weight=x", 400, `For input string: "x"`},
		{put, v1 + "/instance?" + at + "&metadata=x", 400, "metadata format incorrect"},
		{patch, v1 + "/instance?" + at + "&weight=1", 404, "no matched ip found!"},
		{patch, v1 + "/instance?" + at + "&weight=x", 400, `For input string: "x"`},
		{patch, v1 + "/instance?" + at + "&weight=-1", 400, badWeight},
		{patch, v1 + "/instance?" + at + "&metadata=x", 400, "metadata format incorrect"},
		{put, v1 + "/instance/beat?ip=10.0.0.1", 400, "Param 'serviceName' is required."},
		{put, v1 + "/instance/beat?serviceName=none&port=x", 400, badPort},
		{put, v1 + "/instance/beat?serviceName=none&beat=%7Bbad", 500, `"status":500,"error":"Internal Server Error","message":"beat cannot be read"`},
		{put, v1 + "/instance/beat?serviceName=none&beat=" + long, 500, "beat cannot be read"},
		{put, v1 + "/instance/beat?serviceName=none&beat=%7B%22ip%22:%22a%20b%22%7D", 400, "Param 'ip' " + illegal},
		{put, v1 + "/instance/beat?serviceName=none&beat=%7B%7D", 400, "Param 'ip' is required."},
		{put, v1 + "/instance/metadata/batch?serviceName=none", 400, "Param 'metadata' is required."},
		{put, v1 + "/instance/metadata/batch?serviceName=none&metadata=x", 400, "metadata format incorrect"},
		{del, v1 + "/instance/metadata/batch?metadata=a%3D1", 400, "Param 'serviceName' is required."},
		{put, v1 + "/instance/metadata/batch?serviceName=none&metadata=a%3D1&instances=nojson", 200, `{"updated":[]}`},
		{get, v1 + "/instance/statuses", 400, "Parameter 'key' is missing"},
		{get, v1 + "/instance/statuses?key=%23%23", 200, `{"ips":[]}`},

		{post, v1 + "/service", 400, "Parameter 'serviceName' is missing"},
		{post, v1 + "/service?serviceName=bad&selector=nojson", 400, "not match any type of selector!"},
		{post, v1 + "/service?serviceName=bad&selector=%7B%22type%22:%22what%22%7D", 400, "not match any type of selector!"},
		{post, v1 + "/service?serviceName=bad&selector=" + long, 413, "request body too large"},
		{post, v1 + "/service?serviceName=bad&metadata=x", 400, "metadata format incorrect"},
		{post, v1 + "/service?serviceName=bad&metadata=k%3D" + long, 400, "too large"},
		{post, v2 + "/service?serviceName=bad&metadata=k%3D" + long, 400, `"code":20002,"message":"parameter validate error","data":"too large"`},
		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=80&useInstancePort4Check=true&healthChecker=%7B%7D&metadata=x", 400, "metadata format incorrect"},
		{http.MethodPatch, v1 + "/instance?" + at + "&metadata=k%3D" + long, 400, tooLong},
		{put, v2 + "/instance/metadata/batch?serviceName=none&metadata=k%3D" + long, 400, tooLong},
		{post, v1 + "/service?serviceName=a%20b", 400, "Param 'serviceName' " + illegal},
		{put, v1 + "/service?serviceName=none", 400, "Param 'protectThreshold' is required."},
		{put, v1 + "/service?serviceName=none&protectThreshold=1", 400, "service DEFAULT_GROUP@@none not found!"},
		{del, v1 + "/service", 400, "Parameter 'serviceName' is missing"},
		{del, v1 + "/service?serviceName=none", 400, "service DEFAULT_GROUP@@none not found!"},
		{get, v1 + "/service?serviceName=none", 400, "service not found, namespace: public, serviceName: DEFAULT_GROUP@@none"},
		{get, v1 + "/service/list?pageNo=1", 400, "Param 'pageSize' is required."},
		{get, v1 + "/service/list?pageNo=99999999999999999999&pageSize=-5", 200, `{"count":0,"doms":[]}`},
		{get, v1 + "/service/subscribers", 400, "Param 'serviceName' is required."},
		{get, v1 + "/service/subscribers?serviceName=none&pageNo=x", 400, `For input string: "x"`},
		{get, v1 + "/service/subscribers?serviceName=none&pageNo=-1&pageSize=-1", 200, `{"subscribers":[],"count":0}`},

		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=80&useInstancePort4Check=true", 400, "Param 'healthChecker' is required."},
		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=x&useInstancePort4Check=true&healthChecker=%7B%7D", 400, badPort},
		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=80&useInstancePort4Check=true&healthChecker=x", 400, "health checker cannot be read"},
		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=80&useInstancePort4Check=true&healthChecker=" + long, 413, "request body too large"},
		{put, v1 + "/cluster?serviceName=none&clusterName=c&checkPort=80&useInstancePort4Check=true&healthChecker=%7B%7D", 400, "service not found groupName: DEFAULT_GROUP,serviceName: none"},
		{put, v1 + "/health?" + at, 400, "Param 'healthy' is required."},
		{put, v1 + "/health/instance?" + at + "&healthy=true", 400, "health check is still working, service: DEFAULT_GROUP@@none, cluster: DEFAULT"},

		{get, v1 + "/catalog/services?pageNo=1", 400, "Parameter 'pageSize' is missing"},
		{get, v1 + "/catalog/services?pageNo=x&pageSize=1", 400, `For input string: "x"`},
		{get, v1 + "/catalog/service?serviceName=none", 404, "service DEFAULT_GROUP@@none is not found!"},
		{get, v1 + "/catalog/instances?serviceName=none&clusterName=c&pageNo=1", 400, "Parameter 'pageSize' is missing"},
		{get, v1 + "/catalog/instances?serviceName=none&clusterName=c&pageNo=1&pageSize=1", 404, "service DEFAULT_GROUP@@none is not found!"},

		{get, v2 + "/instance?serviceName=none&ip=10.0.0.1", 400, paramOf + "port' type Integer is not present"},
		{get, v2 + "/instance?" + at, 404, `"code":20004,"message":"resource not found"`},
		{put, v2 + "/instance?" + at, 400, `"code":21004,"message":"instance error"`},
		{patch, v2 + "/instance?" + at, 400, paramOf + "weight' type Double is not present"},
		{patch, v2 + "/instance?" + at + "&weight=1&enabled=true&metadata=a%3D1", 400, "it should be format as 'groupName@@serviceName'"},
		{patch, v2 + "/instance?" + grouped + "&weight=1&enabled=true&metadata=a%3D1", 404, `"code":20004`},
		{patch, v2 + "/instance?" + grouped + "&weight=1&enabled=maybe&metadata=a%3D1", 500, `"code":30000`},
		{get, v2 + "/instance/list", 400, paramOf + "serviceName' type String is not present"},
		{get, v2 + "/instance/list?serviceName=none&healthyOnly=maybe", 500, `"code":30000`},
		{put, v2 + "/instance/beat?" + at, 400, `"code":20002,"message":"parameter validate error","data":"Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'"`},
		{put, v2 + "/instance/metadata/batch?serviceName=none", 400, paramOf + "metadata' type String is not present"},
		{post, v2 + "/service", 400, paramOf + "serviceName' type String is not present"},
		{post, v2 + "/service?serviceName=bad&protectThreshold=abc", 500, `"code":30000`},
		{post, v2 + "/service?serviceName=bad&ephemeral=maybe", 500, `"code":30000`},
		{post, v2 + "/service?serviceName=bad&selector=%7B%7D", 400, `"code":21006,"message":"selector error"`},
		{put, v2 + "/service?serviceName=none", 400, `"code":21008,"message":"service not exist"`},
		{del, v2 + "/service?serviceName=none", 400, `"code":21008`},
		{get, v2 + "/service?serviceName=none", 400, `"code":21008`},
		{get, v2 + "/service/list?pageNo=x", 500, `"code":30000`},
		{put, v2 + "/health?" + at, 400, paramOf + "healthy' type Boolean is not present"},
		{put, v2 + "/health?" + at + "&healthy=maybe", 500, `"code":30000`},
		{put, v2 + "/health/instance?" + at + "&healthy=true", 400, `"code":30000,"message":"server error","data":"health check is still working`},
		{get, v2 + "/client", 400, paramOf + "clientId' type String is not present"},
		{get, v2 + "/client?clientId=1.2.3.4:5%23true", 404, `"code":20004,"message":"resource not found","data":"clientId [ 1.2.3.4:5#true ] not exist"`},
		{get, v2 + "/client/publish/list?clientId=x", 404, `"code":20004`},
		{get, v2 + "/client/subscribe/list?clientId=x", 404, `"code":20004`},
		{get, v2 + "/client/service/publisher/list", 400, paramOf + "serviceName' type String is not present"},
		{get, v2 + "/client/service/publisher/list?serviceName=none&port=x", 400, badPort},
		{get, v2 + "/client/service/subscriber/list", 400, paramOf + "serviceName' type String is not present"},
		{get, v2 + "/catalog/instances?serviceName=none&pageSize=1", 400, "Parameter 'pageNo' is missing"},

		{post, "/nacos/v3/client/ns/instance?" + at + "&heartBeat=maybe", 400, `"code":20002`},
		{post, "/nacos/v3/client/ns/instance?serviceName=none&port=80&heartBeat=true", 400, paramOf + "ip' type String is not present"},
		{del, "/nacos/v3/client/ns/instance?serviceName=none", 400, paramOf + "ip' type String is not present"},
		{get, "/nacos/v3/client/ns/instance/list", 400, paramOf + "serviceName' type String is not present"},
		{get, "/nacos/v3/client/ns/instance/list?serviceName=a%20b", 400, `"code":20002,"message":"parameter validate error","data":"Param 'serviceName' is illegal`},
	} {
		a := s.call(c.method, c.target, "", "")
		if a.status != c.status || !strings.Contains(a.body, c.part) {
			t.Errorf("%s %.120s = %d %.300q, want %d %q", c.method, c.target, a.status, a.body, c.status, c.part)
		}
	}
	s.nothingStored()
}
