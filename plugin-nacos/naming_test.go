package nacos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

const (
	instance = "/nacos/v1/ns/instance"
	list     = instance + "/list"
	plain    = "text/plain;charset=UTF-8"
	jsonOnly = "application/json"
)

// hosts is a list as all generations answer it, as far as tests look.
type hosts struct {
	Name, Clusters           string
	LastRefTime              int64
	ReachProtectionThreshold bool
	Hosts                    []shownHost
	CacheMillis              int
	Valid                    bool
}

type shownHost struct {
	InstanceID                  string
	IP                          string
	Port                        int
	Weight                      float64
	Healthy, Enabled, Ephemeral bool
	ClusterName, ServiceName    string
	Metadata                    map[string]string
}

// listed reads a list of V1.
func (s *site) listed(query string) hosts {
	s.t.Helper()
	a := s.get(list + "?" + query)
	var out hosts
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != jsonOnly {
		s.t.Fatalf("list of %s = %d %s %q", query, a.status, a.header.Get("Content-Type"), a.body)
	}
	return out
}

// register makes an instance known over V1; pairs are name, value.
func (s *site) register(service, ip, port string, more ...string) {
	s.t.Helper()
	s.want(s.form(http.MethodPost, instance, fields(append([]string{"serviceName", service, "ip", ip, "port", port}, more...)...)), http.StatusOK, "ok")
}

func fields(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// NAC-H1N-01, 02, 06, NAC-HTP-02, 03, 04, NAC-QRK-19, 20: an instance of V1 comes
// and goes, whatever carries its parameters and however its service is spelled.
func TestInstanceV1(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	in := fields("serviceName", " G@@shop ", "groupName", "ignored", "ip", " 10.0.0.1 ", "port", "80", "weight", "2.5",
		"metadata", `{"b":"2","a":"1"}`, "cluster", "c1", "enable", "true", "encoding", "GBK", "app", "x", "unknown", "y")
	carriers := map[string]func(string) answer{
		"form":  func(m string) answer { return s.form(m, instance, in) },
		"query": func(m string) answer { return s.call(m, instance+"?"+in.Encode(), "", "") },
		"both": func(m string) answer {
			return s.call(m, instance+"?ip=10.0.0.1&port=80&serviceName=G@@shop", "application/x-www-form-urlencoded",
				"cluster=c1&weight=2.5&metadata="+url.QueryEscape("a=1,b=2"))
		},
	}
	for name, send := range carriers {
		a := send(http.MethodPost)
		s.want(a, http.StatusOK, "ok")
		if got := a.header.Get("Content-Type"); got != plain {
			t.Errorf("%s: Content-Type = %q, want %q", name, got, plain)
		}
		for _, query := range []string{"serviceName=G@@shop", "serviceName=shop&groupName=G", "serviceName=G@@shop&groupName=other&clusters=zz,c1"} {
			l := s.listed(query)
			if l.Name != "G@@shop" || len(l.Hosts) != 1 || l.CacheMillis != 10000 || !l.Valid {
				t.Fatalf("%s: list of %s = %+v, want one host of G@@shop", name, query, l)
			}
			want := shownHost{
				"10.0.0.1#80#c1#G@@shop", "10.0.0.1", 80, 2.5, true, true, true, "c1", "G@@shop",
				map[string]string{"a": "1", "b": "2"},
			}
			if got := l.Hosts[0]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: host = %+v, want %+v", name, got, want)
			}
		}
		if l := s.listed("serviceName=shop"); len(l.Hosts) != 0 || l.Name != "DEFAULT_GROUP@@shop" {
			t.Errorf("%s: list of another group = %+v, want no host", name, l)
		}
		s.want(send(http.MethodDelete), http.StatusOK, "ok")
		if l := s.listed("serviceName=G@@shop&clusters=c1"); len(l.Hosts) != 0 || l.Clusters != "c1" {
			t.Errorf("%s: list after deregistration = %+v, want no host and the clusters back", name, l)
		}
	}
}

// NAC-H1N-01, NAC-QRK-19: the flags of a registration in V1.
func TestFlagsV1(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	port := 1000
	for _, c := range []struct {
		flags            []string
		healthy, enabled bool
	}{
		{nil, true, true},
		{[]string{"enable", "false"}, true, false},
		{[]string{"enabled", "false"}, true, false},
		{[]string{"enabled", "true", "enable", "false"}, true, true},
		{[]string{"enabled", "", "enable", "false"}, true, false},
		{[]string{"healthy", "false"}, false, true},
		{[]string{"healthy", "maybe"}, false, true},
		{[]string{"healthy", "YES", "enabled", "on"}, true, true},
	} {
		port++
		s.register("flags", "10.0.0.1", fmt.Sprint(port), c.flags...)
		a := s.get(fmt.Sprintf("%s?serviceName=flags&ip=10.0.0.1&port=%d", instance, port))
		if want := fmt.Sprintf(`"healthy":%t`, c.healthy); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%v: instance = %d %s, want %s", c.flags, a.status, a.body, want)
		}
		listed := false
		for _, h := range s.listed("serviceName=flags").Hosts {
			listed = listed || h.Port == port
		}
		if listed != c.enabled { // NAC-NAM-41
			t.Errorf("%v: listed = %t, want %t", c.flags, listed, c.enabled)
		}
	}
}

// NAC-H1N-07, 20..24, NAC-H2-25, NAC-H3-04: beats of every generation.
func TestBeats(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const (
		known   = `{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}`
		unknown = `{"clientBeatInterval":5000,"code":20404,"lightBeatEnabled":true}`
		v1      = instance + "/beat"
		v2      = "/nacos/v2/ns/instance/beat"
		v3      = "/nacos/v3/client/ns/instance"
	)
	full := `{"ip":"10.0.0.1","port":80,"weight":3,"cluster":"DEFAULT","metadata":{"m":"1"},"serviceName":"other@@service","stopped":false}`
	light := fields("serviceName", "b", "ip", "10.0.0.1", "port", "80")
	s.want(s.form(http.MethodPut, v1, light), http.StatusOK, unknown)
	s.want(s.form(http.MethodPut, v1, fields("serviceName", "b", "ip", "9.9.9.9", "port", "9", "beat", full)), http.StatusOK, known)
	l := s.listed("serviceName=b")
	if len(l.Hosts) != 1 || l.Hosts[0].Weight != 3 || l.Hosts[0].Metadata["m"] != "1" || l.Hosts[0].IP != "10.0.0.1" {
		t.Fatalf("list after a beat = %+v, want the instance that it describes", l)
	}
	s.want(s.call(http.MethodPut, v1+"?"+light.Encode(), "", ""), http.StatusOK, known)
	s.want(s.call(http.MethodPut, v1+"?serviceName=b&beat="+url.QueryEscape(full), "", ""), http.StatusOK, known)

	grouped := fields("serviceName", "DEFAULT_GROUP@@b", "ip", "10.0.0.1", "port", "80")
	s.want(s.form(http.MethodPut, v2, grouped), http.StatusOK, known)
	grouped.Set("port", "81")
	s.want(s.form(http.MethodPut, v2, grouped), http.StatusOK, unknown)
	light.Set("heartBeat", "true")
	s.want(s.form(http.MethodPost, v3, light), http.StatusOK, `{"code":0,"message":"success","data":"ok"}`)
	light.Set("port", "81")
	s.want(s.form(http.MethodPost, v3, light), http.StatusOK, `{"code":21003,"message":"instance not found","data":null}`)
	if l := s.listed("serviceName=b"); len(l.Hosts) != 1 {
		t.Errorf("list after light beats of an unknown instance = %+v, want one host", l)
	}
}

// NAC-NAM-01, NAC-H2-20..23, NAC-H3-03, 05, 06, NAC-QRK-31: V2 and V3 instances
// have no id, and the list of V3 is that of one cluster.
func TestInstanceV2V3(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const ok = `{"code":0,"message":"success","data":"ok"}`
	for generation, path := range map[string]string{"v2": "/nacos/v2/ns/instance", "v3": "/nacos/v3/client/ns/instance"} {
		service := "svc-" + generation
		in := fields("serviceName", service, "groupName", "G", "ip", "10.0.0.1", "port", "80", "weight", "2", "healthy", "0")
		s.want(s.form(http.MethodPost, path, in), http.StatusOK, ok)
		in.Set("port", "81")
		in.Set("clusterName", "c1")
		s.want(s.form(http.MethodPost, path, in), http.StatusOK, ok)
		l := s.listed("serviceName=G@@" + service)
		if len(l.Hosts) != 2 || l.Hosts[0].InstanceID != "" || l.Hosts[0].Healthy || l.Hosts[0].Weight != 2 {
			t.Errorf("%s: list = %+v, want two unhealthy hosts without an id", generation, l)
		}
		s.want(s.call(http.MethodDelete, path+"?"+in.Encode(), "", ""), http.StatusOK, ok)
		s.want(s.call(http.MethodDelete, path+"?"+in.Encode(), "", ""), http.StatusOK, ok)
		if l := s.listed("serviceName=G@@" + service); len(l.Hosts) != 1 {
			t.Errorf("%s: list after deregistration = %+v, want one host", generation, l)
		}
	}
	s.register("three", "10.0.0.1", "80", "clusterName", "c1")
	s.register("three", "10.0.0.1", "81")
	const v3 = "/nacos/v3/client/ns/instance/list?serviceName=three"
	for query, ports := range map[string]string{
		"": "81", "&clusterName=": "81", "&clusterName=c1": "80", "&clusterName=c1,DEFAULT": "80 81", "&clusterName=zz": "",
	} {
		var out struct {
			Code int
			Data []shownHost
		}
		a := s.get(v3 + query)
		if err := json.Unmarshal([]byte(a.body), &out); err != nil || out.Code != 0 {
			t.Fatalf("list of V3 %s = %d %s", query, a.status, a.body)
		}
		var got []string
		for _, h := range out.Data {
			got = append(got, fmt.Sprint(h.Port))
		}
		if strings.Join(got, " ") != ports {
			t.Errorf("list of V3 %s = %v, want %s", query, got, ports)
		}
	}
	a := s.get("/nacos/v2/ns/instance/list?serviceName=three&healthyOnly=true&ip=127.0.0.1&port=4040")
	if !strings.HasPrefix(a.body, `{"code":0,"message":"success","data":{"name":"DEFAULT_GROUP@@three",`) || !strings.HasSuffix(a.body, `"valid":true}}`) {
		t.Errorf("list of V2 = %s, want a ServiceInfo in a Result", a.body)
	}
	s.want(s.get("/nacos/v2/ns/instance/statuses/public%23%23DEFAULT_GROUP@@three"), http.StatusOK, `{"ips":["10.0.0.1:80_true","10.0.0.1:81_true"]}`)
	s.want(s.get("/nacos/v1/ns/instance/statuses?key=DEFAULT_GROUP@@three"), http.StatusOK, `{"ips":["10.0.0.1:80_true","10.0.0.1:81_true"]}`)
}

// NAC-H1N-40, NAC-QRK-23: the probe of clients needs nothing and says UP; the
// counts are right.
func TestNamingMetrics(t *testing.T) {
	s := newSite(t, guarded())
	for _, path := range []string{"/nacos/v1/ns/operator/metrics", "/nacos/v1/ns/ops/metrics", "/nacos/v1/ns/operator/metrics?onlyStatus=true"} {
		s.want(s.get(path), http.StatusOK, `{"status":"UP"}`)
	}
	s.want(s.get("/nacos/v2/ns/ops/metrics"), http.StatusOK, `{"code":0,"message":"success","data":{"status":"UP"}}`)

	o := newSite(t, plugintest.Settings{})
	o.register("m", "10.0.0.1", "80")
	o.register("m", "10.0.0.1", "81")
	a := o.get("/nacos/v1/ns/operator/metrics?onlyStatus=false")
	for _, want := range []string{`"status":"UP"`, `"serviceCount":1`, `"instanceCount":2`, `"ephemeralIpPortClientCount":2`, `"persistentIpPortClientCount":0`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("metrics = %s, want %s", a.body, want)
		}
	}
}

// Many clients at once: every list is whole JSON of instances that were registered,
// and what is left in the end is what was not deregistered.
func TestNamingTogether(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const clients, rounds = 8, 40
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			ip := fmt.Sprintf("10.0.0.%d", c)
			at := fields("serviceName", "busy", "ip", ip, "port", "80", "metadata", "c="+ip)
			for i := range rounds {
				at.Set("weight", fmt.Sprint(i))
				s.want(s.form(http.MethodPost, instance, at), http.StatusOK, "ok")
				if a := s.form(http.MethodPut, instance+"/beat", fields("serviceName", "busy", "ip", ip, "port", "80")); !strings.Contains(a.body, `"code":10200`) {
					t.Errorf("beat after registration = %d %s, want it known", a.status, a.body)
				}
				var l hosts
				if a := s.get(list + "?serviceName=busy"); json.Unmarshal([]byte(a.body), &l) != nil || a.status != http.StatusOK {
					t.Errorf("list = %d %s", a.status, a.body)
				}
				mine := false
				for _, h := range l.Hosts {
					mine = mine || h.IP == ip && h.Weight == float64(i) && h.Metadata["c"] == ip
				}
				if !mine {
					t.Errorf("list after registration = %+v, want %s with weight %d in it", l.Hosts, ip, i)
				}
				if i%2 == 0 || c%2 == 0 {
					s.want(s.call(http.MethodDelete, instance+"?"+at.Encode(), "", ""), http.StatusOK, "ok")
				}
			}
		})
	}
	group.Wait()
	if l := s.listed("serviceName=busy"); len(l.Hosts) != clients/2 {
		t.Errorf("list in the end = %d hosts, want %d", len(l.Hosts), clients/2)
	}
}
