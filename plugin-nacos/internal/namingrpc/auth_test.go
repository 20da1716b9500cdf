package namingrpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

// NAC-AUT-08, 12, NAC-ERR-09: who may do what with services over gRPC; a refusal
// is told with code 403 in the class of the answer.
func TestAuth(t *testing.T) {
	r := newRig(t, authmap.Switches{Client: true}, quick())
	tokens := map[string]string{"": ""}
	for user, resource := range map[string]string{
		"reader": "public:*:naming/*", "writer": "public:G:naming/mine", "stranger": "elsewhere:*:naming/*", "keeper": "public:*:config/*",
		"lister": "public:DEFAULT_GROUP:naming/*",
	} {
		actions := []auth.Action{auth.Read}
		if user != "reader" {
			actions = append(actions, auth.Write)
		}
		err := r.directory.Apply(t.Context(), auth.Actor{Subject: "test"}, []auth.Op{
			{PutUser: &auth.User{Name: user, Enabled: true}, Password: []byte("correct horse")},
			{Bind: &auth.Binding{User: user, Role: "role-" + user}},
			{Grant: &auth.Grant{Role: "role-" + user, Resource: resource, Actions: actions}},
		})
		if err != nil {
			t.Fatalf("Apply(%s) = %v", user, err)
		}
		id, err := r.core.Auth().Authenticate(t.Context(), auth.Credentials{User: user, Password: []byte("correct horse"), Plane: auth.Client})
		if err != nil {
			t.Fatalf("Authenticate(%s) = %v", user, err)
		}
		if tokens[user], _, err = r.core.Auth().Issue(t.Context(), id, 0); err != nil {
			t.Fatalf("Issue(%s) = %v", user, err)
		}
	}
	c := r.connect(t, "10.0.0.1")
	const instance = `"instance":{"ip":"10.1.1.1","port":80},"instances":[{"ip":"10.1.1.1","port":80}]`
	of := func(service string) string {
		return `{"namespace":"public","groupName":"G","serviceName":"` + service + `","type":"$",` + instance + `}`
	}
	for _, tt := range []struct {
		name, user, kind, body string
		allowed                bool
	}{
		{"nobody reads", "", "ServiceQueryRequest", of("mine"), false},
		{"nobody subscribes", "", "SubscribeServiceRequest", of("mine"), false},
		{"nobody lists", "", "ServiceListRequest", of(""), false},
		{"nobody registers", "", "InstanceRequest", of("mine"), false},
		{"reader reads", "reader", "ServiceQueryRequest", of("mine"), true},
		{"reader subscribes", "reader", "SubscribeServiceRequest", of("mine"), true},
		{"reader lists", "reader", "ServiceListRequest", of(""), true},
		{"reader registers", "reader", "InstanceRequest", of("mine"), false},
		{"reader registers many", "reader", "BatchInstanceRequest", of("mine"), false},
		{"reader registers for ever", "reader", "PersistentInstanceRequest", of("mine"), false},
		{"writer registers", "writer", "InstanceRequest", of("mine"), true},
		{"writer registers many", "writer", "BatchInstanceRequest", of("mine"), true},
		{"writer elsewhere", "writer", "InstanceRequest", of("other"), false},
		{"writer by a grouped name", "writer", "InstanceRequest", strings.Replace(of("G@@mine"), `"G"`, `""`, 1), true},
		{"writer by a grouped name elsewhere", "writer", "InstanceRequest", strings.Replace(of("X@@mine"), `"G"`, `""`, 1), false},
		{"writer by a grouped name in another group", "writer", "InstanceRequest", strings.Replace(of("G@@mine"), `"G"`, `"X"`, 1), false},
		{"writer by a name of two groups", "writer", "InstanceRequest", of("X@@mine"), false},
		{"a blank namespace is public", "writer", "InstanceRequest", strings.Replace(of("mine"), `"public"`, `""`, 1), true},
		{"writer lists the group", "writer", "ServiceListRequest", of(""), false},
		{"writer lists the group by its service", "writer", "ServiceListRequest", of("mine"), false},
		{"lister lists the default group", "lister", "ServiceListRequest", `{"namespace":"","groupName":""}`, true},
		{"lister lists another", "lister", "ServiceListRequest", of(""), false},
		{"stranger", "stranger", "InstanceRequest", of("mine"), false},
		{"a right on configs", "keeper", "InstanceRequest", of("mine"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kind := map[string]string{"InstanceRequest": "registerInstance", "PersistentInstanceRequest": "registerInstance", "BatchInstanceRequest": "batchRegisterInstance"}[tt.kind]
			class, body := c.Call(tt.kind, map[string]string{"accessToken": tokens[tt.user]}, []byte(strings.Replace(tt.body, "$", kind, 1)))
			want := map[string]string{
				"InstanceRequest": "InstanceResponse", "PersistentInstanceRequest": "InstanceResponse", "BatchInstanceRequest": "BatchInstanceResponse",
				"ServiceQueryRequest": "QueryServiceResponse", "ServiceListRequest": "ServiceListResponse", "SubscribeServiceRequest": "SubscribeServiceResponse",
			}[tt.kind]
			if class != want {
				t.Fatalf("answered %s %s, want %s", class, body, want)
			}
			var got struct{ ResultCode, ErrorCode int }
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if tt.allowed && got.ResultCode != 200 || !tt.allowed && (got.ResultCode != 500 || got.ErrorCode != 403) {
				t.Errorf("answered %s, want allowed %t", body, tt.allowed)
			}
		})
	}
	streamtest.Eventually(t, "nothing but what the writer registered", func() bool {
		names, total, err := r.naming.Page(t.Context(), "public", "G", 1, 10)
		return err == nil && total == 1 && names[0] == "mine"
	})
}
