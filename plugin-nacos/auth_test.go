package nacos_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

const password = "correct horse"

func (s *site) admin() {
	s.t.Helper()
	a := s.form(http.MethodPost, "/nacos/v3/auth/user/admin", url.Values{"password": {password}})
	s.want(a, http.StatusOK, `{"code":0,"message":"success","data":{"username":"nacos","password":"`+password+`"}}`)
}

// login returns the token of a user.
func (s *site) login(user, secret string) string {
	s.t.Helper()
	a := s.form(http.MethodPost, "/nacos/v1/auth/users/login?username="+user, url.Values{"password": {secret}})
	var granted struct {
		AccessToken string
		TokenTTL    int
	}
	if err := json.Unmarshal([]byte(a.body), &granted); err != nil || a.status != http.StatusOK || granted.TokenTTL <= 0 {
		s.t.Fatalf("login of %s = %d %q", user, a.status, a.body)
	}
	if got := a.header.Get("Authorization"); got != "Bearer "+granted.AccessToken {
		s.t.Errorf("Authorization = %q, want the token", got)
	}
	return granted.AccessToken
}

// grant makes a user with one right.
func (s *site) grant(user, resource string, actions ...auth.Action) {
	s.t.Helper()
	role := "role-" + user
	err := s.Node().Directory().Apply(s.t.Context(), auth.Actor{Subject: "test"}, []auth.Op{
		{PutUser: &auth.User{Name: user, Enabled: true}, Password: []byte(password)},
		{Bind: &auth.Binding{User: user, Role: role}},
		{Grant: &auth.Grant{Role: role, Resource: resource, Actions: actions}},
	})
	if err != nil {
		s.t.Fatalf("Apply(%s) = %v", user, err)
	}
}

// SEC-03, NAC-AUT-07, 08, 12, 14, NAC-HTP-11: every endpoint that reads or writes
// configs against every kind of caller.
func TestRoutesAndIdentities(t *testing.T) {
	set := guarded()
	set.Values = map[string]any{"auth": map[string]any{"enabled": true, "identity_key": "X-Server", "identity_value": "sesame"}}
	s := newSite(t, set)
	s.admin()
	s.grant("reader", "public:*:config/*", auth.Read)
	s.grant("writer", "public:*:config/*", auth.Read, auth.Write)
	s.grant("stranger", "elsewhere:*:config/*", auth.Read, auth.Write)
	s.grant("operator", "/v3/admin/core/cluster", auth.Read) // NAD-AUTH-77: exactly this text
	callers := map[string][]string{
		"nobody":       nil,
		"wrong token":  {"Accesstoken", "x.y.z"},
		"wrong server": {"X-Server", "open"},
		"reader":       {"Accesstoken", s.login("reader", password)},
		"writer":       {"Authorization", "Bearer " + s.login("writer", password)},
		"stranger":     {"Accesstoken", s.login("stranger", password)},
		"operator":     {"Accesstoken", s.login("operator", password)},
		"admin":        {"Accesstoken", s.login("nacos", password)},
		"server":       {"X-Server", "sesame"},
	}
	const (
		read  = "reader writer admin server"
		write = "writer admin server"

		members   = "operator admin server"
		everybody = "nobody wrong token wrong server stranger operator " + read
	)
	for _, route := range []struct{ method, target, allowed string }{
		{http.MethodGet, configs + "?dataId=a&group=G", read},
		{http.MethodHead, configs + "?dataId=a&group=G", read},
		{http.MethodGet, configs + "?dataId=a&group=G&show=all", read},
		{http.MethodGet, configs + "?dataId=a&group=G&beta=true", read},
		{http.MethodGet, configs + "?search=blur&dataId=*&group=&pageNo=1&pageSize=9", read},
		{http.MethodPost, configs + "?dataId=a&group=G&content=c", write},
		{http.MethodDelete, configs + "?dataId=zz&group=G", write},
		{http.MethodDelete, configs + "?dataId=zz&group=G&beta=true", write},
		{http.MethodPost, listener + "?Listening-Configs=a%02G%02x%01", read},
		{http.MethodGet, listener + "?dataId=a&group=G", read},
		{http.MethodGet, "/nacos/v1/cs/listener?ip=127.0.0.1", read},
		{http.MethodGet, "/nacos/v3/client/cs/config?dataId=a&groupName=G", read},
		{http.MethodGet, "/nacos/v1/core/cluster/nodes", members},
		{http.MethodGet, "/nacos/v2/core/cluster/node/list", members},
		{http.MethodGet, "/nacos/v3/admin/core/cluster/node/self", members},
		{http.MethodGet, "/nacos/v1/cs/health", everybody},
		{http.MethodGet, "/nacos/v3/admin/core/state/readiness", everybody},
	} {
		for name, header := range callers {
			a := s.call(route.method, route.target, "", "", header...)
			allowed := strings.Contains(route.allowed, name)
			if allowed == (a.status == http.StatusForbidden) {
				t.Errorf("%s %s by %s = %d %.200q, want allowed %t", route.method, route.target, name, a.status, a.body, allowed)
			}
		}
	}
	a := s.get(configs + "?dataId=a&group=G")
	if !strings.Contains(a.body, `"message":"Code: 401, Message: User not found! Please check user exist or password is right!."`) {
		t.Errorf("refusal of nobody = %s, want the text that clients know", a.body)
	}
	a = s.get("/nacos/v3/client/cs/config?dataId=a&groupName=G", "Accesstoken", "x.y.z")
	s.want(a, http.StatusForbidden, `{"code":10001,"message":"access denied","data":"Code: 401, Message: unsupported signature algorithm."}`)
}

// A right is asked on what the handler touches: names of another generation, and
// more than one tenant in a list, open nothing (NAD-AUTH-79).
func TestRightsOnWhatIsTouched(t *testing.T) {
	s := newSite(t, guarded())
	s.admin()
	s.grant("mine", "mine:*:config/*", auth.Read, auth.Write)
	s.grant("group", "public:G1:config/*", auth.Read, auth.Write)
	mine := []string{"Accesstoken", s.login("mine", password)}
	group := []string{"Accesstoken", s.login("group", password)}
	root := []string{"Accesstoken", s.login("nacos", password)}
	for _, tenant := range []string{"mine", "theirs", ""} {
		v := url.Values{"dataId": {"a"}, "group": {"G"}, "tenant": {tenant}, "content": {"content of " + tenant}}
		s.want(s.form(http.MethodPost, configs, v, root...), http.StatusOK, "true")
	}
	const lines = listener + "?Listening-Configs="
	for _, tt := range []struct {
		method, target string
		header         []string
		status         int
	}{
		{http.MethodGet, configs + "?dataId=a&group=G&tenant=mine", mine, http.StatusOK},
		{http.MethodGet, configs + "?dataId=a&group=G&tenant=theirs&namespaceId=mine", mine, http.StatusForbidden},
		{http.MethodPost, configs + "?dataId=a&group=G&tenant=theirs&namespaceId=mine&content=x", mine, http.StatusForbidden},
		{http.MethodDelete, configs + "?dataId=a&group=G&tenant=theirs&namespaceId=mine", mine, http.StatusForbidden},
		{http.MethodGet, configs + "?search=blur&dataId=*&group=&tenant=theirs&namespaceId=mine&pageNo=1&pageSize=9", mine, http.StatusForbidden},
		{http.MethodGet, listener + "?dataId=a&group=G&tenant=theirs&namespaceId=mine", mine, http.StatusForbidden},
		{http.MethodGet, configs + "?dataId=a&group=G1", group, http.StatusNotFound},
		{http.MethodGet, configs + "?dataId=a&group=G&groupName=G1", group, http.StatusForbidden},
		{http.MethodGet, "/nacos/v3/client/cs/config?dataId=a&groupName=G&namespaceId=mine", mine, http.StatusOK},
		{http.MethodGet, "/nacos/v3/client/cs/config?dataId=a&groupName=G&tenant=mine", mine, http.StatusForbidden},
		{http.MethodGet, "/nacos/v3/client/cs/config?dataId=a&groupName=G&group=G1", group, http.StatusForbidden},
		{http.MethodPost, lines + "a%02G%02x%02mine%01&tenant=mine", mine, http.StatusOK},
		{http.MethodPost, lines + "a%02G%02x%02mine%01", mine, http.StatusForbidden}, // as recorded (NAC-AUT-13)
		{http.MethodPost, lines + "a%02G%02x%02theirs%01&tenant=mine", mine, http.StatusForbidden},
		{http.MethodPost, lines + "a%02G%02x%02mine%01a%02G%02x%01&tenant=mine", mine, http.StatusForbidden},
		{http.MethodPost, lines + "a%02G%02x%02mine%01a%02G%02x%02theirs%01&tenant=mine", mine, http.StatusForbidden},
		{http.MethodGet, "/nacos/v1/cs/listener?ip=127.0.0.1&tenant=mine", mine, http.StatusOK},
		{http.MethodGet, "/nacos/v1/cs/listener?ip=127.0.0.1&tenant=mine&all=true", mine, http.StatusForbidden},
	} {
		if a := s.call(tt.method, tt.target, "", "", tt.header...); a.status != tt.status {
			t.Errorf("%s %s = %d %.200q, want %d", tt.method, tt.target, a.status, a.body, tt.status)
		}
	}
}

// NAC-AUT-03, PRD-12, SEC-07: logins.
func TestLogin(t *testing.T) {
	set := plugintest.Settings{Auth: secret}
	set.Auth.TTL = time.Hour
	s := newSite(t, set)
	stale := url.Values{"username": {"nacos"}, "password": {"nacos"}}
	a := s.form(http.MethodPost, "/nacos/v1/auth/login", stale)
	s.want(a, http.StatusOK, `{"accessToken":"AUTH_DISABLED","tokenTtl":3600,"globalAdmin":false,"username":"nacos"}`)
	s.admin()
	a = s.form(http.MethodPost, "/nacos/v1/auth/users/login", stale)
	s.want(a, http.StatusForbidden, "User not found! Please check user exist or password is right!")
	a = s.form(http.MethodPost, "/nacos/v3/auth/user/login", url.Values{"username": {"ghost"}, "password": {"x"}})
	const text = "User not found! Please check user exist or password is right!"
	s.want(a, http.StatusForbidden, `{"code":10001,"message":"`+text+`","data":"`+text+`"}`)
	token := s.login("nacos", password)
	a = s.form(http.MethodPost, "/nacos/v3/auth/user/login", nil, "Authorization", "Bearer "+token)
	if a.status != http.StatusOK || !strings.Contains(a.body, `"globalAdmin":true`) {
		t.Errorf("login by token = %d %q, want the administrator", a.status, a.body)
	}
	for _, header := range [][]string{{"Accesstoken", token}, {"Username", "nacos", "Password", password}} {
		if a := s.form(http.MethodPost, "/nacos/v1/auth/users/login", stale, header...); a.status != http.StatusForbidden {
			t.Errorf("login by %s of a header = %d %q, want 403", header[0], a.status, a.body)
		}
	}
}

// NAC-AUT-02: a login by a token tells what is left of it, and makes it live no
// longer.
func TestLoginByToken(t *testing.T) {
	s := newSite(t, guarded())
	s.admin()
	id, err := s.Node().Auth().Authenticate(t.Context(), auth.Credentials{User: "nacos", Password: []byte(password)})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := s.Node().Auth().Issue(t.Context(), id, 100*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		AccessToken string
		TokenTTL    int
	}
	for _, target := range []string{"/nacos/v1/auth/login", "/nacos/v1/auth/users/login", "/nacos/v3/auth/user/login?username=nacos"} {
		a := s.form(http.MethodPost, target, url.Values{"accessToken": {token}})
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.AccessToken != token || got.TokenTTL < 60 || got.TokenTTL > 100 {
			t.Errorf("login at %s by a token of 100 s = %d %s, want the same", target, a.status, a.body)
		}
		if h := a.header.Get("Authorization"); h != "Bearer "+token {
			t.Errorf("Authorization = %q, want the token", h)
		}
	}
	if a := s.form(http.MethodPost, "/nacos/v1/auth/login", url.Values{"accessToken": {"x.y.z"}, "username": {"nacos"}, "password": {password}}); a.status != http.StatusForbidden {
		t.Errorf("login by a bad token and a good password = %d %s, want 403: the token wins", a.status, a.body)
	}
}

// NAC-AUT-04, 08, NAD-AUTH-50: where credentials are found, and which of them count.
func TestCredentials(t *testing.T) {
	s := newSite(t, guarded())
	s.admin()
	s.publish("a", "c", "accessToken", s.login("nacos", password))
	token := s.login("nacos", password)
	const read = configs + "?dataId=a&group=G"
	userPass := "&username=nacos&password=" + url.QueryEscape(password)
	for _, tt := range []struct {
		what, query string
		header      []string
		allowed     bool
	}{
		{"nothing", "", nil, false},
		{"token in the query", "&accessToken=" + token, nil, true},
		{"in another case", "&ACCESSTOKEN=" + token, nil, true},
		{"in a header", "", []string{"accesstoken", token}, true},
		{"as bearer", "", []string{"Authorization", "Bearer " + token}, true},
		{"as bearer of a parameter", "&authorization=Bearer+" + token, nil, true},
		{"a bad bearer wins over a good token", "&accessToken=" + token, []string{"Authorization", "Bearer junk"}, false},
		{"a good bearer wins over a bad token", "&accessToken=junk", []string{"Authorization", "Bearer " + token}, true},
		{"a bearer without a token is none", "&accessToken=" + token, []string{"Authorization", "Bearer "}, true},
		{"another scheme is none", "&accessToken=" + token, []string{"Authorization", "Basic bmFjb3M="}, true},
		{"a parameter wins over its header", "&accessToken=junk", []string{"Accesstoken", token}, false},
		{"a blank parameter does not", "&accessToken=+", []string{"Accesstoken", token}, true},
		{"user and password", userPass, nil, true},
		{"in another case", strings.Replace(strings.Replace(userPass, "username", "userName", 1), "password", "PassWord", 1), nil, true},
		{"in headers", "", []string{"Username", "nacos", "Password", password}, true},
		{"user in the query, password in a header", "&username=nacos", []string{"Password", password}, true},
		{"a wrong password", "&username=nacos&password=x", nil, false},
		{"a user without a password", "&username=nacos", nil, false},
		{"a bad token wins over a good password", userPass + "&accessToken=junk", nil, false},
		{"a blank token does not", userPass + "&accessToken=", nil, true},
		{"signatures of an access key are ignored", "&accessToken=" + token + "&ak=a&data=d&signature=s", []string{"Spas-AccessKey", "ak", "Timestamp", "1", "Spas-Signature", "c2ln"}, true},
		{"and open nothing", "&ak=a&data=d&signature=s", []string{"Spas-AccessKey", "ak", "Timestamp", "1", "Spas-Signature", "c2ln"}, false},
	} {
		a := s.get(read+tt.query, tt.header...)
		if tt.allowed && (a.status != http.StatusOK || a.body != "c") || !tt.allowed && a.status != http.StatusForbidden {
			t.Errorf("%s = %d %.200q, want allowed %t", tt.what, a.status, a.body, tt.allowed)
		}
	}
	form := url.Values{"dataId": {"b"}, "group": {"G"}, "content": {"x"}, "username": {"nacos"}, "password": {password}}
	s.want(s.form(http.MethodPost, configs, form), http.StatusOK, "true")
	s.want(s.form(http.MethodDelete, read, url.Values{"accessToken": {token}}), http.StatusOK, "true")
}

// PRD-12: the first administrator, once, from this machine or with the token.
func TestFirstAdmin(t *testing.T) {
	set := plugintest.Settings{Auth: secret}
	set.Auth.SetupToken = "one-time"
	s := newSite(t, set)
	const path = "/nacos/v3/auth/user/admin"
	good := url.Values{"password": {password}}
	for _, weak := range []string{"nacos", "short", "batata"} {
		if a := s.form(http.MethodPost, path, url.Values{"password": {weak}}); a.status != http.StatusBadRequest || strings.Contains(a.body, `"`+weak+`"`) {
			t.Errorf("weak password %s = %d %s, want 400", weak, a.status, a.body)
		}
	}
	proxied := []string{"X-Forwarded-For", "192.0.2.1"}
	if a := s.form(http.MethodPost, path, good, proxied...); a.status != http.StatusForbidden {
		t.Errorf("through a proxy without the token = %d %s, want 403", a.status, a.body)
	}
	statuses := map[int]int{}
	for range 6 {
		a := s.form(http.MethodPost, path, good, append([]string{"X-Batata-Setup-Token", "guess"}, proxied...)...)
		statuses[a.status]++
	}
	if statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("six wrong tokens = %v, want 429 at the end", statuses)
	}
	var (
		won   sync.Map
		group sync.WaitGroup
	)
	for i := range 8 {
		group.Go(func() {
			a := s.form(http.MethodPost, path, good)
			if strings.Contains(a.body, `"code":0`) {
				won.Store(i, true)
			} else if a.status != http.StatusOK || !strings.Contains(a.body, `"code":409`) {
				t.Errorf("late caller = %d %s, want code 409", a.status, a.body)
			}
		})
	}
	group.Wait()
	winners := 0
	won.Range(func(any, any) bool { winners++; return true })
	if winners != 1 {
		t.Errorf("%d callers became the first administrator, want 1", winners)
	}
	if a := s.form(http.MethodPost, "/nacos/v1/auth/users/admin", good); a.status != http.StatusOK || !strings.Contains(a.body, `"code":409`) {
		t.Errorf("second time over V1 = %d %s, want code 409", a.status, a.body)
	}
}
