package nacos_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naminghttp"
)

// SEC-03: with all planes guarded no endpoint of naming answers nobody, but for
// those that say so.
func TestNamingDefaultDeny(t *testing.T) {
	s := newSite(t, guarded())
	open := "/v1/ns/service/selector/types /v1/ns/health/checkers /v1/ns/health/server /v1/ns/operator/metrics " +
		"/v1/ns/ops/metrics /v2/ns/operator/metrics /v2/ns/ops/metrics"
	routes := (&naminghttp.API{}).Routes()
	if len(routes) < 50 {
		t.Fatalf("Routes() = %d, want the whole table", len(routes))
	}
	all := url.Values{
		"serviceName": {"G@@s"}, "ip": {"10.0.0.1"}, "port": {"80"}, "healthy": {"true"}, "key": {"public##G@@s"}, "pageNo": {"1"}, "pageSize": {"1"},
		"clusterName": {"c"}, "clientId": {"10.0.0.1:80#true"}, "metadata": {"a=1"}, "protectThreshold": {"0"}, "weight": {"1"}, "enabled": {"true"},
		"checkPort": {"80"}, "useInstancePort4Check": {"true"}, "healthChecker": {`{"type":"NONE"}`},
	}
	for _, r := range routes {
		path := "/nacos" + strings.Replace(r.Path, ":key", "public%23%23G@@s", 1)
		for _, header := range [][]string{nil, {"Accesstoken", "x.y.z"}, {"X-Forwarded-For", "127.0.0.1"}} {
			a := s.call(r.Method, path+"?"+all.Encode(), "", "", header...)
			want := http.StatusForbidden
			if strings.Contains(open+" ", r.Path+" ") {
				want = http.StatusOK
			}
			if a.status != want {
				t.Errorf("%s %s by nobody with %v = %d %.200q, want %d", r.Method, r.Path, header, a.status, a.body, want)
			}
		}
	}
	s.admin()
	token := s.login("nacos", password)
	if a := s.get("/nacos/v1/ns/service/names", "Accesstoken", token); a.body != `{"META-INF/services":{},"count":0}` {
		t.Errorf("services after refused calls = %s, want none", a.body)
	}
	a := s.get(list + "?serviceName=s")
	if !strings.Contains(a.body, `"status":403,"error":"Forbidden","message":"Code: 401, Message: User not found! Please check user exist or password is right!."`) {
		t.Errorf("refusal in V1 = %s, want the text that clients know", a.body)
	}
	a = s.get("/nacos/v2/ns/instance/list?serviceName=s")
	if !strings.Contains(a.body, `{"code":10001,"message":"access denied","data":"Code: 401, Message: User not found!`) {
		t.Errorf("refusal in V2 = %s, want a Result", a.body)
	}
}

// SEC-03, NAC-AUT-12, NAC-HTP-04: the right that is asked is that of the service a
// call acts on, however it is spelled.
func TestNamingRights(t *testing.T) {
	s := newSite(t, guarded())
	s.admin()
	s.grant("reader", "public:*:naming/*", auth.Read)
	s.grant("group", "public:G:naming/*", auth.Read, auth.Write)
	s.grant("one", "public:G:naming/s", auth.Read, auth.Write)
	s.grant("elsewhere", "other:*:*", auth.Read, auth.Write)
	s.grant("configs", "public:*:config/*", auth.Read, auth.Write)
	s.grant("every", "*:*:naming/*", auth.Read)
	tokens := map[string]string{}
	for _, user := range []string{"reader", "group", "one", "elsewhere", "configs", "every"} {
		tokens[user] = s.login(user, password)
	}
	const (
		write = "&ip=10.0.0.1&port=80"
		beat  = `&beat=%7B%22ip%22:%2210.0.0.1%22,%22port%22:80,%22serviceName%22:%22G@@s%22%7D`
		v1    = "/nacos/v1/ns"
		v2    = "/nacos/v2/ns"
		v3    = "/nacos/v3/client/ns"
	)
	for _, c := range []struct{ method, target, allowed string }{
		{http.MethodGet, v1 + "/instance/list?serviceName=G@@s", "reader group one every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=%20G@@s%20&groupName=H", "reader group one every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=s&groupName=G", "reader group one every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=s&groupName=%20G", "reader group one every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=H@@s&groupName=G", "reader every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=s", "reader every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=G@@t", "reader group every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=G@@s&namespaceId=", "reader group one every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=G@@s&namespaceId=other", "elsewhere every"},
		{http.MethodGet, v1 + "/instance/list?serviceName=G@@s&namespaceId=other&namespaceId=public", "every"},
		{http.MethodPost, v1 + "/instance?serviceName=G@@s" + write, "group one"},
		{http.MethodPost, v1 + "/instance?serviceName=G@@t&groupName=G" + write, "group"},
		{http.MethodPost, v1 + "/instance?serviceName=H@@s&groupName=G" + write, ""},
		{http.MethodPost, v1 + "/instance?serviceName=s&groupName=G&serviceName=x" + write, "group"},
		{http.MethodPut, v1 + "/instance/beat?serviceName=H@@s" + beat, ""},
		{http.MethodPut, v1 + "/instance/beat?serviceName=G@@s" + beat, "group one"},
		{http.MethodDelete, v1 + "/instance?serviceName=G@@s" + write, "group one"},
		{http.MethodGet, v1 + "/instance/statuses?key=public%23%23G@@s", "reader group one every"},
		{http.MethodGet, v1 + "/instance/statuses?key=other%23%23G@@s&namespaceId=public", "elsewhere every"},
		{http.MethodGet, v2 + "/instance/statuses/other%23%23G@@s?namespaceId=public", "elsewhere every"},
		{http.MethodGet, v2 + "/instance/statuses/G@@s?namespaceId=other", "elsewhere every"},
		{http.MethodGet, v1 + "/service/list?pageNo=1&pageSize=1&groupName=G", "reader group every"},
		{http.MethodGet, v1 + "/service/list?pageNo=1&pageSize=1", "reader every"},
		{http.MethodGet, v1 + "/service/names", "every"},
		{http.MethodGet, v1 + "/service/names?namespaceId=public", "reader every"},
		{http.MethodPost, v2 + "/instance?serviceName=s&groupName=G" + write, "group one"},
		{http.MethodPost, v2 + "/instance?serviceName=G@@s" + write, "group one"},
		{http.MethodGet, v2 + "/client/list", "every"},
		{http.MethodPost, v3 + "/instance?serviceName=s&groupName=G&heartBeat=true" + write, "group one"},
		{http.MethodPost, v3 + "/instance?serviceName=s&groupName=H" + write, ""},
		{http.MethodGet, v3 + "/instance/list?serviceName=s&groupName=G", "reader group one every"},
	} {
		for user, token := range tokens {
			a := s.call(c.method, c.target, "", "", "Accesstoken", token)
			if allowed := strings.Contains(" "+c.allowed+" ", " "+user+" "); allowed == (a.status == http.StatusForbidden) {
				t.Errorf("%s %s by %s = %d %.200q, want allowed %t", c.method, c.target, user, a.status, a.body, allowed)
			}
		}
	}
}

// NAC-AUT-04, 08, 15: every way in which SDKs say who they are opens naming, and
// signatures that mean nothing here close nothing.
func TestNamingCredentials(t *testing.T) {
	s := newSite(t, guarded())
	s.admin()
	s.grant("app", "public:*:naming/*", auth.Read, auth.Write)
	token := s.login("app", password)
	credentials := fields("username", "app", "password", password)
	for name, a := range map[string]answer{ // each is slow
		"form":  s.form(http.MethodPost, "/nacos/v3/auth/user/login", credentials),
		"query": s.call(http.MethodPost, "/nacos/v1/auth/users/login?"+credentials.Encode(), "", ""),
		"mixed": s.form(http.MethodPost, "/nacos/v1/auth/login?username=app", fields("password", password)),
	} {
		if a.status != http.StatusOK || !strings.Contains(a.body, `"tokenTtl":18000,"globalAdmin":false,"username":"app"`) {
			t.Errorf("login by %s = %d %s, want a token", name, a.status, a.body)
		}
	}
	in := fields("serviceName", "s", "ip", "10.0.0.1", "port", "80")
	with := func(pairs ...string) url.Values {
		v := fields(pairs...)
		for k := range in {
			v.Set(k, in.Get(k))
		}
		return v
	}
	for name, a := range map[string]answer{
		"token in the query":    s.call(http.MethodPost, instance+"?"+with("accessToken", token).Encode(), "", ""),
		"token in the form":     s.form(http.MethodPost, instance, with("accessToken", token)),
		"token as a header":     s.form(http.MethodPost, instance, in, "accessToken", token),
		"bearer":                s.form(http.MethodPost, instance, in, "Authorization", "Bearer "+token),
		"name and password":     s.form(http.MethodPost, instance, with("username", "app", "password", password)),
		"with a RAM signature":  s.form(http.MethodPost, instance, with("accessToken", token, "ak", "k", "data", "1@@g@@s", "signature", "x")),
		"with a Spas signature": s.form(http.MethodPost, instance, in, "accessToken", token, "Spas-AccessKey", "k", "Spas-Signature", "x"),
	} {
		if a.status != http.StatusOK || a.body != "ok" {
			t.Errorf("%s = %d %s, want ok", name, a.status, a.body)
		}
	}
	if a := s.form(http.MethodPost, instance, with("username", "app", "password", "wrong")); a.status != http.StatusForbidden {
		t.Errorf("a wrong password = %d %s, want 403", a.status, a.body)
	}
}
