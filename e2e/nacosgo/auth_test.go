package nacosgo

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/e2e/node"
)

const (
	adminPassword = "correct horse"
	password      = "battery staple"
)

// guarded runs a server whose clients need a login, with an administrator and three
// users of the namespace dev: one may write, one read, and one nothing there.
func guarded(t *testing.T, sets ...string) *node.Node {
	t.Helper()
	n := node.New(t, node.Options{Sets: append([]string{"nacos.core.auth.enabled=true"}, sets...)})
	var ops []auth.Op
	ops = append(ops, node.User("writer", password, "dev:*:*", auth.Read, auth.Write)...)
	ops = append(ops, node.User("reader", password, "dev:*:*", auth.Read)...)
	ops = append(ops, node.User("stranger", password, "elsewhere:*:*", auth.Read, auth.Write)...)
	n.Seed(t, "nacos", adminPassword, ops...)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func as(user, secret, namespace string) []constant.ClientOption {
	return []constant.ClientOption{
		constant.WithUsername(user), constant.WithPassword(secret), constant.WithNamespaceId(namespace),
	}
}

// try publishes and says whether it was taken.
func try(c config_client.IConfigClient, name, content string) error {
	ok, err := c.PublishConfig(vo.ConfigParam{DataId: name, Group: group, Content: content})
	if err == nil && !ok {
		err = fmt.Errorf("PublishConfig(%s) = false", name)
	}
	return err
}

func read(c config_client.IConfigClient, name string) (string, error) {
	return c.GetConfig(vo.ConfigParam{DataId: name, Group: group})
}

// NAC-AUT-01, 04, 06: a client logs in by itself; one with a wrong password, or
// none, goes on without a token and gets nothing.
func TestLogin(t *testing.T) {
	n := guarded(t)
	admin := connect(t, n, as("nacos", adminPassword, "dev")...)
	publish(t, admin, "app.yml", "secret")
	wantContent(t, admin, "app.yml", "secret")
	for name, options := range map[string][]constant.ClientOption{
		"a wrong password": as("nacos", adminPassword+"x", "dev"),
		"an unknown user":  as("nobody", password, "dev"),
		"no user":          {constant.WithNamespaceId("dev")},
	} {
		c := connect(t, n, options...)
		if err := try(c, "app.yml", "overwritten"); err == nil {
			t.Errorf("%s: PublishConfig() = nil error, want a refusal", name)
		}
		if got, err := read(c, "app.yml"); err == nil || got != "" {
			t.Errorf("%s: GetConfig() = %q, %v, want a refusal", name, got, err)
		}
		if ok, err := c.DeleteConfig(vo.ConfigParam{DataId: "app.yml", Group: group}); ok && err == nil {
			t.Errorf("%s: DeleteConfig() = true, want a refusal", name)
		}
	}
	wantContent(t, admin, "app.yml", "secret")
}

// NAC-AUT-12: a right on one namespace is a right on nothing else, and one to read
// none to write.
func TestRightsOnConfigs(t *testing.T) {
	n := guarded(t)
	writer, reader := connect(t, n, as("writer", password, "dev")...), connect(t, n, as("reader", password, "dev")...)
	publish(t, writer, "app.yml", "v1")
	events := listen(t, reader, "app.yml")
	hear(t, events, "v1")
	spread(t, writer, events, "app.yml", "v2")
	wantContent(t, reader, "app.yml", "v2")
	if err := try(reader, "app.yml", "v3"); err == nil {
		t.Error("PublishConfig() by who may read = nil error, want a refusal")
	}
	if ok, err := reader.DeleteConfig(vo.ConfigParam{DataId: "app.yml", Group: group}); ok && err == nil {
		t.Error("DeleteConfig() by who may read = true, want a refusal")
	}
	admin := connect(t, n, as("nacos", adminPassword, "prod")...)
	publish(t, admin, "app.yml", "of prod")
	asked, refused := requests(t, n, "ConfigBatchListenRequest"), 0
	for name, c := range map[string]config_client.IConfigClient{
		"writer in another namespace":     connect(t, n, as("writer", password, "prod")...),
		"writer in the default namespace": connect(t, n, as("writer", password, "")...),
		"stranger":                        connect(t, n, as("stranger", password, "dev")...),
	} {
		heard := make(chan string, 16)
		err := c.ListenConfig(vo.ConfigParam{DataId: "app.yml", Group: group, OnChange: func(_, _, _, data string) { heard <- data }})
		if err != nil {
			t.Fatalf("%s: ListenConfig() = %v", name, err)
		}
		refused++
		if err := try(c, "app.yml", "overwritten"); err == nil {
			t.Errorf("%s: PublishConfig() = nil error, want a refusal", name)
		}
		if got, err := read(c, "app.yml"); err == nil || got != "" {
			t.Errorf("%s: GetConfig() = %q, %v, want a refusal", name, got, err)
		}
		defer func() {
			select {
			case data := <-heard:
				t.Errorf("%s: a listener was told %q", name, data)
			default:
			}
		}()
	}
	eventually(t, "the others have asked to listen", func() bool {
		return requests(t, n, "ConfigBatchListenRequest") >= asked+refused
	})
	publish(t, admin, "app.yml", "of prod, again")
	spread(t, writer, events, "app.yml", "v3") // and the others would have heard at the same time
	wantContent(t, admin, "app.yml", "of prod, again")
}

// NAC-AUT-02, 08, 17: a token whose time is over opens nothing, and the client goes
// on with the next one by itself; so does its listener.
func TestExpiredToken(t *testing.T) {
	// The client logs in again after 5 s at the earliest, longer than this token lives.
	n := guarded(t, "nacos.core.auth.plugin.nacos.token.expire.seconds=2")
	c := connect(t, n, as("writer", password, "dev")...)
	publish(t, c, "app.yml", "v1")
	events := listen(t, c, "app.yml")
	hear(t, events, "v1")
	pace := time.NewTicker(300 * time.Millisecond) // the client refuses to ask more than a few times a second
	defer pace.Stop()
	eventually(t, "the token of the client is over", func() bool {
		<-pace.C
		got, err := read(c, "app.yml")
		if err == nil && got != "v1" {
			t.Fatalf("GetConfig() = %q, want v1", got)
		}
		return err != nil && strings.Contains(err.Error(), "token expired!")
	})
	eventually(t, "the client has logged in again", func() bool {
		<-pace.C
		return try(c, "app.yml", "v2") == nil
	})
	hear(t, events, "v2")
	if strings.Contains(n.Log(), password) {
		t.Error("the log of the server holds a password")
	}
}

// NAC-AUT-12, NAC-ERR-21: the same for services. A refused registration is one
// request, not one after the other.
func TestRightsOnServices(t *testing.T) {
	n := guarded(t)
	writer, reader := naming(t, n, as("writer", password, "dev")...), naming(t, n, as("reader", password, "dev")...)
	register(t, writer, instance("app", "10.0.0.1"))
	lists := watch(t, reader, "app")
	untilList(t, lists, "10.0.0.1")
	persistent := instance("kept", "10.0.0.2", func(p *vo.RegisterInstanceParam) { p.Ephemeral = false })
	register(t, writer, persistent) // over HTTP (NAC-QRK-24)
	before := requests(t, n, "InstanceRequest")
	refused := map[string]naming_client.INamingClient{
		"reader":                      reader,
		"writer in another namespace": naming(t, n, as("writer", password, "prod")...),
		"stranger":                    naming(t, n, as("stranger", password, "dev")...),
		"a wrong password":            naming(t, n, as("writer", password+"x", "dev")...),
		"no user":                     naming(t, n, constant.WithNamespaceId("dev")),
	}
	for name, c := range refused {
		if ok, err := c.RegisterInstance(instance("app", "10.0.0.66")); ok {
			t.Errorf("%s: RegisterInstance() = %v, %v, want a refusal", name, ok, err)
		}
		if ok, err := c.RegisterInstance(persistent); ok {
			t.Errorf("%s: RegisterInstance() over HTTP = %v, %v, want a refusal", name, ok, err)
		}
	}
	all := vo.SelectAllInstancesParam{ServiceName: "app"}
	for name, c := range refused {
		if name == "reader" {
			continue
		}
		if found, _ := c.SelectAllInstances(all); len(found) > 0 {
			t.Errorf("%s: SelectAllInstances() = %v, want a refusal", name, addresses(found))
		}
	}
	gone := vo.DeregisterInstanceParam{ServiceName: "app", Ip: "10.0.0.1", Port: 80, Ephemeral: true}
	if ok, err := writer.DeregisterInstance(gone); !ok || err != nil {
		t.Errorf("DeregisterInstance() = %v, %v", ok, err)
	}
	untilList(t, lists)
	if got := requests(t, n, "InstanceRequest") - before; got > len(refused)+1 {
		t.Errorf("%d requests to register for %d refusals and a deregistration", got, len(refused))
	}
	for _, namespace := range []string{"dev", "prod"} {
		admin := naming(t, n, as("nacos", adminPassword, namespace)...)
		if found, err := admin.SelectAllInstances(all); len(found) > 0 {
			t.Errorf("SelectAllInstances() of %s = %v, %v, want nothing registered", namespace, addresses(found), err)
		}
		kept, err := admin.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: "kept"})
		if want := map[string]int{"dev": 1}[namespace]; len(kept) != want {
			t.Errorf("SelectAllInstances() of what is kept in %s = %v, %v, want %d", namespace, addresses(kept), err, want)
		}
	}
}
