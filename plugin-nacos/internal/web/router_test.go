package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
)

// serve answers one request by a router with the routes given.
func serve(t *testing.T, method, target string, routes ...Route) *httptest.ResponseRecorder {
	t.Helper()
	r := NewRouter(authmap.NewGate(nil, authmap.Switches{}), zap.NewNop(), []string{"/nacos"})
	r.Add(routes...)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody))
	return w
}

func route(path string, s Style, handle func(*Call) error) Route {
	return Route{Method: http.MethodGet, Path: path, Style: s, Access: authmap.Open(auth.Client), Handle: handle}
}

// NAC-HTP-07: below V1 naming a wrong path and a wrong method are 501, elsewhere
// 404 and 405.
func TestUnrouted(t *testing.T) {
	ok := func(c *Call) error { return c.Plain("ok") }
	for _, c := range []struct {
		method, target string
		status         int
		message        string
		allow          bool
	}{
		{http.MethodGet, "/nacos/v1/ns/nothing", 501, "no such api:GET:/nacos/v1/ns/nothing", false},
		{http.MethodPost, "/nacos/v1/ns/instance?a=b", 501, "no such api:POST:/nacos/v1/ns/instance", false},
		{http.MethodGet, "/nacos/v1/nsx", 404, "No endpoint GET /nacos/v1/nsx.", false},
		{http.MethodGet, "/v1/ns/instance", 404, "No endpoint GET /v1/ns/instance.", false},
		{http.MethodPut, "/nacos/v2/ns/instance", 405, "Method 'PUT' is not supported.", true},
	} {
		w := serve(t, c.method, c.target, route("/v1/ns/instance", Naming, ok), route("/v2/ns/instance", EnvelopedV2, ok))
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"message":"`+c.message+`"`) {
			t.Errorf("%s %s = %d %s, want %d and %q", c.method, c.target, w.Code, w.Body, c.status, c.message)
		}
		if got := w.Header().Get("Allow") != ""; got != c.allow {
			t.Errorf("%s %s: Allow = %t, want %t", c.method, c.target, got, c.allow)
		}
	}
}

// NAC-H2-26: a part of the path is a parameter, decoded once; one of the same
// name in the query cannot take its place.
func TestPathParameter(t *testing.T) {
	for target, want := range map[string]string{
		"/s/ns%23%23g@@x":      "ns##g@@x",
		"/s/a%2541":            "a%41",
		"/s/a%21b":             "a!b",
		"/s/a+b":               "a+b",
		"/s/%ff":               "",
		"/s/real?key=other":    "real,other",
		"/s/real?key=a&key=%b": "real,a",
	} {
		var got string
		serve(t, http.MethodGet, "/nacos"+target, route("/s/:key", Naming, func(c *Call) error {
			got = c.Param("key")
			return nil
		}))
		if got != want {
			t.Errorf("key of %s = %q, want %q", target, got, want)
		}
	}
}

// NAD-DEC-03, NAD-AUTH-56: that a session is over stands in the message too, where
// people call; clients are told in the data.
func TestSessionOver(t *testing.T) {
	over := &authmap.Denied{Code: 401, Text: "token expired!", Cause: auth.ErrTokenExpired}
	never := &authmap.Denied{Code: 401, Text: authmap.TextUnknown, Cause: auth.ErrCredentials}
	for _, c := range []struct {
		plane   auth.Plane
		err     error
		message string
	}{
		{auth.Console, over, "Code: 401, Message: token expired!."},
		{auth.Admin, over, "Code: 401, Message: token expired!."},
		{auth.Client, over, "access denied"},
		{auth.Console, never, "access denied"},
	} {
		w := serve(t, http.MethodGet, "/nacos/x", Route{
			Method: http.MethodGet, Path: "/x", Style: Enveloped, Access: authmap.Open(c.plane),
			Handle: func(*Call) error { return c.err },
		})
		if want := `{"code":10001,"message":"` + c.message + `","data":"` + c.err.Error() + `"}`; w.Code != http.StatusForbidden || w.Body.String() != want {
			t.Errorf("plane %d: %d %s, want 403 %s", c.plane, w.Code, w.Body, want)
		}
	}
}

// NAC-HTP-07..11, NAD-GEN-20..28: one error as each generation tells it.
func TestStylesOfErrors(t *testing.T) {
	const cut = "0123456789012345678901234567890123456789012345678901234567890123"
	format := &config.Error{Reason: config.BadFormat, Detail: "Param 'x' is illegal."}
	for name, c := range map[string]struct {
		err    error
		style  Style
		status int
		kind   string
		body   string // a part of it
	}{
		"missing V1":              {&MissingError{Name: "ip"}, Naming, 400, contentText, "Param 'ip' is required."},
		"missing V1 in signature": {&MissingError{Name: "key", Signature: true}, Naming, 400, contentText, "Parameter 'key' is missing"},
		"missing V2":              {&MissingError{Name: "port", Type: "Integer"}, EnvelopedV2, 400, contentJSON, `{"code":10000,"message":"parameter missing","data":"Required parameter 'port' type Integer is not present"}`},
		"missing V3":              {&MissingError{Name: "ip"}, Enveloped, 400, contentJSON, `"data":"Required parameter 'ip' type String is not present"`},
		"no number V1":            {&ConvertError{"weight", "heavy"}, Naming, 400, contentText, `For input string: "heavy"`},
		"no number V2":            {&ConvertError{"weight", "heavy"}, EnvelopedV2, 500, contentJSON, `{"code":30000,"message":"For input string: \"heavy\"","data":null}`},
		"no number V3":            {&ConvertError{"weight", "heavy"}, Enveloped, 400, contentJSON, `{"code":20002,"message":"parameter validate error","data":"For input string: \"heavy\""}`},
		"a long no number":        {&ConvertError{"weight", cut + "X"}, Naming, 400, contentText, `For input string: "` + cut + `"`},
		"format V1":               {format, Naming, 400, "", "Param 'x' is illegal.\r\n"},
		"format V2":               {format, EnvelopedV2, 400, "", "Param 'x' is illegal.\r\n"},
		"format V3":               {format, Enveloped, 400, contentJSON, `"code":20002,"message":"parameter validate error","data":"Param 'x' is illegal."`},
		"denied V1":               {&authmap.Denied{Code: 403, Text: "no"}, Naming, 403, contentJSON, `"status":403,"error":"Forbidden","message":"Code: 403, Message: no."`},
		"denied V2":               {&authmap.Denied{Code: 403, Text: "no"}, EnvelopedV2, 403, contentJSON, `"code":10001,"message":"access denied"`},
		"missing V1 account":      {&MissingError{Name: "username"}, AccountV1, 400, contentJSON, `"message":"Required parameter 'username' is not present."`},
		"wrong password V1":       {auth.ErrCredentials, AccountV1, 403, contentJSON, authmap.TextUnknown},
		"wrong password V3":       {auth.ErrCredentials, Account, 403, contentJSON, `{"code":10001,"message":"` + authmap.TextUnknown + `","data":"` + authmap.TextUnknown + `"}`},
		"too large V1":            {ErrTooLarge, Naming, 413, contentText, "request body too large"},
		"failure V1":              {errors.New("secret"), Naming, 500, contentText, "server error"},
	} {
		w := serve(t, http.MethodGet, "/nacos/x", route("/x", c.style, func(*Call) error { return c.err }))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s = %d %q %s, want %d %q and %s", name, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.kind, c.body)
		}
	}
}
