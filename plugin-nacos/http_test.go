package nacos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/plugintest"
	nacos "github.com/easynet-cn/batata/plugin-nacos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is the personality on a real node, and a client of its HTTP side.
type site struct {
	t    *testing.T
	base string
	http *http.Client
	*plugintest.Server
}

func newSite(t *testing.T, s plugintest.Settings) *site {
	t.Helper()
	srv := plugintest.Start(t, nacos.Plugin(), s)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &site{
		t: t, base: srv.URL(plugin.Main), Server: srv,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request; header pairs are name, value.
func (s *site) call(method, target, contentType, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s = %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: body = %v", method, target, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (s *site) get(target string, header ...string) answer {
	s.t.Helper()
	return s.call(http.MethodGet, target, "", "", header...)
}

func (s *site) form(method, target string, values url.Values, header ...string) answer {
	s.t.Helper()
	return s.call(method, target, "application/x-www-form-urlencoded", values.Encode(), header...)
}

func (s *site) publish(name, content string, more ...string) {
	s.t.Helper()
	v := url.Values{"dataId": {name}, "group": {"G"}, "content": {content}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	s.want(s.form(http.MethodPost, configs, v), http.StatusOK, "true")
}

func (s *site) want(a answer, status int, body string) {
	s.t.Helper()
	if a.status != status || a.body != body {
		s.t.Errorf("answer = %d %.300q, want %d %q", a.status, a.body, status, body)
	}
}

const (
	configs  = "/nacos/v1/cs/configs"
	listener = configs + "/listener"
	jsonUTF8 = "application/json;charset=UTF-8"
)

// NAC-H1C-01, 02, 05, 06, NAC-CFG-27, 28, 44: one config through its life, with
// grays and conditions.
func TestConfigLife(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	const read = configs + "?dataId=a&group=G"
	s.want(s.get(read), http.StatusNotFound, "config data not exist\n")
	s.publish("a", "one", "type", "yaml", "encryptedDataKey", "K")

	a := s.get(read)
	s.want(a, http.StatusOK, "one")
	for name, want := range map[string]string{
		"Config-Type": "yaml", "Content-Md5": "f97c5d29941bfb1b2fdab0874906ab82", "Encrypted-Data-Key": "K",
		"Content-Type": "text/plain;charset=UTF-8", "Pragma": "no-cache", "Cache-Control": "no-cache,no-store",
		"Expires": "Thu, 01 Jan 1970 00:00:00 GMT", "Isbeta": "", "Tag": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}

	two := url.Values{"dataId": {"a"}, "group": {"G"}, "content": {"two"}}
	s.want(s.form(http.MethodPost, configs, two, "casMd5", "0"), http.StatusInternalServerError, "false")
	s.want(s.get(read), http.StatusOK, "one")
	s.want(s.form(http.MethodPost, configs, two, "casMd5", "f97c5d29941bfb1b2fdab0874906ab82"), http.StatusOK, "true")
	s.want(s.get(read), http.StatusOK, "two")

	gray := url.Values{"dataId": {"a"}, "group": {"G"}, "content": {"for beta"}}
	s.want(s.form(http.MethodPost, configs, gray, "betaIps", "10.0.0.1,10.0.0.2"), http.StatusOK, "true")
	s.publish("a", "for blue", "tag", "blue")
	if a = s.get(read, "X-Forwarded-For", "10.0.0.2, 10.9.9.9"); a.body != "for beta" || a.header.Get("Isbeta") != "true" {
		t.Errorf("read from a listed address = %q, Isbeta %q, want the beta", a.body, a.header.Get("Isbeta"))
	}
	if a = s.get(read, "Vipserver-Tag", "blue"); a.body != "for blue" || a.header.Get("Tag") != "blue" {
		t.Errorf("read with the tag = %q, Tag %q, want the tagged", a.body, a.header.Get("Tag"))
	}
	s.want(s.get(read+"&tag=red"), http.StatusNotFound, "config data not exist\n") // NAC-CFG-29
	s.want(s.get(read), http.StatusOK, "two")

	s.want(s.call(http.MethodDelete, read, "", ""), http.StatusOK, "true")
	s.want(s.get(read, "X-Forwarded-For", "10.0.0.1"), http.StatusNotFound, "config data not exist\n") // NAC-CFG-26
	s.want(s.call(http.MethodDelete, read, "", ""), http.StatusOK, "true")
}

// NAC-H1C-08, 09: lists and details.
func TestSearch(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	for i := range 7 {
		s.publish(fmt.Sprintf("app-%d", i), "c", "config_tags", "t1,t2", "appName", "shop", "desc", "d", "use", "u")
	}
	s.publish("other", "c")
	var page struct {
		Total int `json:"totalCount"`
		Page  int `json:"pageNumber"`
		Pages int `json:"pagesAvailable"`
		Items []struct {
			ID, DataID, Content, Tenant, AppName string
			MD5                                  *string
		} `json:"pageItems"`
	}
	for _, c := range []struct {
		query              string
		total, pages, rows int
	}{
		{"search=blur&dataId=app-*&group=&pageNo=1&pageSize=3", 7, 3, 3},
		{"search=blur&dataId=app-*&group=&pageNo=3&pageSize=3", 7, 3, 1},
		{"search=blur&dataId=app-*&group=&pageNo=4&pageSize=3", 7, 3, 0},
		{"search=blur&dataId=*&group=G&pageNo=1&pageSize=100", 8, 1, 8},
		{"search=accurate&dataId=app-1&group=G&pageNo=1&pageSize=10", 1, 1, 1},
		{"search=accurate&dataId=&group=&config_tags=t2&pageNo=1&pageSize=10", 7, 1, 7},
		{"search=accurate&dataId=&group=&appName=none&pageNo=1&pageSize=10", 0, 0, 0},
	} {
		a := s.get(configs + "?" + c.query)
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s = %d %q", c.query, a.status, a.body)
		}
		if page.Total != c.total || page.Pages != c.pages || len(page.Items) != c.rows {
			t.Errorf("%s = %d in all, %d pages, %d rows, want %d, %d, %d", c.query, page.Total, page.Pages, len(page.Items), c.total, c.pages, c.rows)
		}
		page.Items = nil
	}
	for _, bad := range []string{"pageNo=0&pageSize=1", "pageNo=1&pageSize=x", "pageNo=99999999999999999999&pageSize=1"} {
		if a := s.get(configs + "?search=blur&dataId=&group=&" + bad); a.status != http.StatusBadRequest {
			t.Errorf("%s = %d, want 400", bad, a.status)
		}
	}
	s.want(s.get(configs+"?show=all&dataId=none&group=G"), http.StatusOK, "")
	a := s.get(configs + "?show=all&dataId=app-1&group=G")
	for _, want := range []string{`"desc":"d"`, `"use":"u"`, `"configTags":"t1,t2"`, `"appName":"shop"`, `"encryptedDataKey":""`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("show=all = %s, want %s in it", a.body, want)
		}
	}
}

// NAC-H1C-34..36, 41: a held poll wakes with the key that changed, not by what
// leaves the content alone, and Drain answers it with nothing.
func TestLongPoll(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	s.publish("p", "1")
	hold := func(md5 string, done chan<- answer) {
		v := url.Values{"Listening-Configs": {"p\x02G\x02" + md5 + "\x01q\x02G\x02\x02public\x01"}}
		done <- s.form(http.MethodPost, listener, v, "Long-Pulling-Timeout", "60000")
	}
	parked := func() {
		t.Helper()
		for s.get(listener+"?dataId=p&group=G").body == `{"collectStatus":200,"lisentersGroupkeyStatus":{}}` {
			if t.Context().Err() != nil {
				t.Fatal("the poll was never parked")
			}
		}
	}
	const md5One = "c4ca4238a0b923820dcc509a6f75849b"
	done := make(chan answer, 1)
	go hold(md5One, done)
	parked()
	if a := s.get("/nacos/v1/cs/listener?ip=127.0.0.1&all=true"); a.status != http.StatusForbidden { // the admin plane
		t.Errorf("who listens, asked by nobody = %d, want 403", a.status)
	}
	s.publish("p", "1", "type", "json") // same content
	s.publish("q", "new")
	if a := <-done; a.body != "q%02G%02public%01\n" || a.header.Get("Content-Type") != jsonUTF8 {
		t.Errorf("woken poll = %q, want q with its tenant", a.body)
	}
	v := url.Values{"Listening-Configs": {"p\x02G\x02" + md5One + "\x01"}}
	if a := s.form(http.MethodPost, listener, v, "Long-Pulling-Timeout", "60000", "Long-Pulling-Timeout-No-Hangup", "true"); a.body != "" || a.header.Get("Expires") != "0" {
		t.Errorf("poll without hang-up = %q, Expires %q, want nothing", a.body, a.header.Get("Expires"))
	}
	go func() {
		done <- s.form(http.MethodPost, listener, v, "Long-Pulling-Timeout", "60000")
	}()
	parked()
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("Drain() = %v", err)
	}
	s.want(<-done, http.StatusOK, "")
}

// NAC-H3-01, 02, 08, NAC-H1C-21, NAC-H1X-07, NAC-HTP-01: the smaller endpoints.
func TestSmallEndpoints(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	for path, want := range map[string]string{
		"/nacos/v3/admin/core/state/liveness":                `{"code":0,"message":"success","data":"ok"}`,
		"/nacos/v3/admin/core/state/readiness":               `{"code":0,"message":"success","data":"ok"}`,
		"/nacos/v1/cs/health":                                "UP",
		"/nacos/v1/console/health/liveness":                  "OK",
		"/nacos/v1/console/health/readiness":                 "OK",
		"/nacos/v3/client/cs/config?dataId=none&groupName=G": `{"code":20004,"message":"resource not found","data":null}`,
	} {
		s.want(s.get(path), http.StatusOK, want)
	}
	if a := s.get("/nacos"); a.status != http.StatusFound || a.header.Get("Location") != "/nacos/" {
		t.Errorf("/nacos = %d to %q, want 302 to /nacos/", a.status, a.header.Get("Location"))
	}
}

// NAC-HTP-02, 09, NAC-CFG-46, NAC-H1C-31: what is wrong is refused with the row's
// error, nothing is stored, and the server lives.
func TestBadInput(t *testing.T) {
	s := newSite(t, plugintest.Settings{})
	form := func(pairs ...string) string {
		v := url.Values{"dataId": {"bad"}, "group": {"G"}, "content": {"c"}}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v.Encode()
	}
	var files bytes.Buffer
	w := multipart.NewWriter(&files)
	_ = w.WriteField("dataId", "bad")
	const urlencoded = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		want              string
	}{
		"content of 10 MiB and 1": {urlencoded, form("content", strings.Repeat("x", 10<<20+1)), 400, "caused: invalid content, over 10485760;"},
		"body over the bound":     {urlencoded, form("other", strings.Repeat("%41", 12<<20)), 413, "caused: request body too large;"},
		"many parameters":         {urlencoded, form() + strings.Repeat("&x=1", 1000), 413, "caused: more than 1000 parameters: request body too large;"},
		"content not UTF-8":       {urlencoded, "dataId=bad&group=G&content=%ff%fe", 400, ""},
		"content blank":           {urlencoded, form("content", " "), 400, "caused: content is blank :  ;"},
		"long tag":                {urlencoded, form("tag", strings.Repeat("t", 17)), 400, "caused: too long tag, over 16;"},
		"name with blanks":        {urlencoded, form("dataId", "b d"), 400, "Param 'dataId' is illegal, illegal characters should not appear in the param.\r\n"},
		"long namespace":          {urlencoded, form("tenant", strings.Repeat("n", 65)), 400, "Param 'namespaceId/tenant' is illegal, the param length should not exceed 64.\r\n"},
		"half a multipart":        {w.FormDataContentType(), files.String(), 400, ""},
		"JSON":                    {"application/json", `{"dataId":"bad"}`, 400, ""},
		"odd media type":          {"text/;;", form(), 400, ""},
	} {
		a := s.call(http.MethodPost, configs, c.contentType, c.body)
		if a.status != c.status || c.want != "" && a.body != c.want {
			t.Errorf("%s = %d %.200q, want %d %q", name, a.status, a.body, c.status, c.want)
		}
	}
	for _, path := range []string{"//v1/cs/configs", "/v1/cs%2fconfigs", "/v1/cs/configs;x=1", `/v1\cs/configs`} {
		if a := s.get("/nacos" + path + "?dataId=bad&group=G"); a.status != http.StatusBadRequest {
			t.Errorf("GET %s = %d, want 400", path, a.status)
		}
	}
	for _, probe := range []string{"x", "a\x02g\x01", "%zz\x02g\x02\x01", "a\x02g\x02m\x02t\x02u\x01", strings.Repeat("a\x02g\x02\x01", 10001)} {
		a := s.form(http.MethodPost, listener, url.Values{"Listening-Configs": {probe}}, "Long-Pulling-Timeout", "60000")
		s.want(a, http.StatusBadRequest, "caused: invalid probeModify;")
	}
	s.want(s.get(configs+"?dataId=bad&group=G"), http.StatusNotFound, "config data not exist\n")
	s.publish("good", "c")
}

var secret = core.Auth{Secret: []byte("0123456789abcdef0123456789abcdef")}

func guarded() plugintest.Settings {
	return plugintest.Settings{Auth: secret, Values: map[string]any{"auth": map[string]any{"enabled": true}}}
}
