package configrpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
)

// NAC-AUT-08, 12, 14, NAD-AUTH-79: who may do what over gRPC; a refusal is told with code
// 403 in the class of the answer.
func TestAuth(t *testing.T) {
	r := newRig(t, authmap.Switches{Client: true, IdentityKey: "X-Server", IdentityValue: "sesame"})
	for user, resource := range map[string]string{"reader": "public:*:config/*", "stranger": "elsewhere:*:config/*"} {
		role := "role-" + user
		actions := []auth.Action{auth.Read}
		if user == "stranger" {
			actions = append(actions, auth.Write)
		}
		err := r.directory.Apply(t.Context(), auth.Actor{Subject: "test"}, []auth.Op{
			{PutUser: &auth.User{Name: user, Enabled: true}, Password: []byte("correct horse")},
			{Bind: &auth.Binding{User: user, Role: role}},
			{Grant: &auth.Grant{Role: role, Resource: resource, Actions: actions}},
		})
		if err != nil {
			t.Fatalf("Apply(%s) = %v", user, err)
		}
	}
	r.publish(t, "a", "", "secret")
	c := r.connect(t, "10.0.0.1", nil)
	by := func(user string) map[string]string {
		return map[string]string{"username": user, "password": "correct horse"}
	}
	const (
		query = `{"dataId":"a","group":"G"}`
		write = `{"dataId":"a","group":"G","content":"other"}`
		batch = `{"listen":true,"configListenContexts":[{"dataId":"a","group":"G","tenant":"%","md5":""},{"dataId":"b","group":"G","tenant":"","md5":""}]}`
	)
	const last = `{"configListenContexts":[{"dataId":"a","group":"G","md5":""},{"dataId":"b","group":"G","tenant":"public","tenant":"elsewhere","md5":""}]}`
	home, away := strings.Replace(batch, "%", "", 1), strings.Replace(batch, "%", "elsewhere", 1)
	for _, tt := range []struct {
		name    string
		headers map[string]string
		kind    string
		body    string
		allowed bool
	}{
		{"nobody reads", nil, "ConfigQueryRequest", query, false},
		{"wrong token", map[string]string{"accessToken": "x.y.z"}, "ConfigQueryRequest", query, false},
		{"wrong bearer", map[string]string{"authorization": "Bearer x"}, "ConfigQueryRequest", query, false},
		{"server identity opens no type of clients", map[string]string{"X-Server": "sesame"}, "ConfigQueryRequest", query, false},
		{"reader reads", by("reader"), "ConfigQueryRequest", query, true},
		{"reader writes", by("reader"), "ConfigPublishRequest", write, false},
		{"reader removes", by("reader"), "ConfigRemoveRequest", query, false},
		{"stranger reads", by("stranger"), "ConfigQueryRequest", query, false},
		{"stranger removes", by("stranger"), "ConfigRemoveRequest", query, false},
		{"reader listens", by("reader"), "ConfigBatchListenRequest", home, true},
		{"reader listens elsewhere first", by("reader"), "ConfigBatchListenRequest", away, false},
		{"reader listens elsewhere last", by("reader"), "ConfigBatchListenRequest", last, false},
		{"stranger listens elsewhere, and here", by("stranger"), "ConfigBatchListenRequest", away, false},
		{"a listen of nothing", by("reader"), "ConfigBatchListenRequest", `{}`, true},
		{"stranger's listen of nothing", by("stranger"), "ConfigBatchListenRequest", `{}`, false},
		{"nobody listens", nil, "ConfigBatchListenRequest", home, false},
		{"nobody's health", nil, "HealthCheckRequest", `{}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kind, body := c.Call(tt.kind, tt.headers, []byte(tt.body))
			want := strings.Replace(tt.kind, "Request", "Response", 1)
			if tt.kind == "ConfigBatchListenRequest" {
				want = "ConfigChangeBatchListenResponse"
			}
			if kind != want {
				t.Fatalf("answered %s %s, want %s", kind, body, want)
			}
			var got struct{ ResultCode, ErrorCode int }
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if tt.allowed && got.ResultCode != 200 || !tt.allowed && (got.ResultCode != 500 || got.ErrorCode != 403) {
				t.Errorf("answered %s, want allowed %t", body, tt.allowed)
			}
			if !tt.allowed && strings.Contains(string(body), "secret") {
				t.Errorf("a refusal tells the content: %s", body)
			}
		})
	}
	// A body that names a tenant twice would be asked about one and read from the
	// other.
	for _, twice := range []string{
		`{"tenant":"elsewhere","dataId":"a","group":"G","tenant":"public"}`,
		`{"tenant":"elsewhere","dataId":"a","group":"G","ten\u0061nt":"public"}`,
	} {
		kind, body := c.Call("ConfigQueryRequest", by("stranger"), []byte(twice))
		if kind != "ErrorResponse" || !strings.Contains(string(body), `"errorCode":502`) {
			t.Errorf("answered %s %s, want it not understood", kind, body)
		}
	}
	if _, body := c.Call("ConfigQueryRequest", by("reader"), []byte(query)); !strings.Contains(string(body), `"content":"secret"`) {
		t.Errorf("after the refusals the config is %s, want it untouched", body)
	}
}
