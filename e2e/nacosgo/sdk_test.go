package nacosgo

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"

	"github.com/easynet-cn/batata/e2e/node"
)

const (
	group = "DEFAULT_GROUP"
	// limit bounds every wait for something the server or the SDK does. The SDK
	// tells the server of a new listener after up to 5 s (NAC-CFG-66).
	limit = 20 * time.Second
)

// connect returns a client of the SDK as an application makes it.
func connect(t *testing.T, n *node.Node, more ...constant.ClientOption) config_client.IConfigClient {
	t.Helper()
	options := append([]constant.ClientOption{
		constant.WithNotLoadCacheAtStart(true),
		constant.WithLogDir(t.TempDir()),
		constant.WithCacheDir(t.TempDir()),
		constant.WithLogLevel("error"),
		constant.WithDisableUseSnapShot(true), // answers come from the server or not at all
		constant.WithTimeoutMs(5000),
	}, more...)
	c, err := clients.NewConfigClient(vo.NacosClientParam{
		ClientConfig:  constant.NewClientConfig(options...),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig("127.0.0.1", uint64(n.Port))},
	})
	if err != nil {
		t.Fatalf("NewConfigClient() = %v", err)
	}
	t.Cleanup(c.CloseClient)
	return c
}

func publish(t *testing.T, c config_client.IConfigClient, name, content string) {
	t.Helper()
	ok, err := c.PublishConfig(vo.ConfigParam{DataId: name, Group: group, Content: content})
	if err != nil || !ok {
		t.Fatalf("PublishConfig(%s) = %v, %v, want true", name, ok, err)
	}
}

func wantContent(t *testing.T, c config_client.IConfigClient, name, want string) {
	t.Helper()
	got, err := c.GetConfig(vo.ConfigParam{DataId: name, Group: group})
	if err != nil || got != want {
		t.Fatalf("GetConfig(%s) = %q, %v, want %q", name, got, err, want)
	}
}

// eventually polls until check holds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", limit, what)
		case <-tick.C:
		}
	}
}

// NAC-CFG-20, 23, 40, 42, 48: publish, read at once, overwrite, remove.
func TestPublishReadRemove(t *testing.T) {
	n := node.Run(t, node.Options{})
	c := connect(t, n)
	for _, content := range []string{"a: 1", "a: 2\n", "中文内容\r\n\t\"x\" \\ \u0001", strings.Repeat("x", 1<<20)} {
		publish(t, c, "app.yml", content)
		wantContent(t, c, "app.yml", content)
	}
	if got, err := c.GetConfig(vo.ConfigParam{DataId: "none", Group: group}); got != "" {
		t.Errorf("GetConfig(none) = %q, %v, want nothing", got, err)
	}
	if ok, err := c.DeleteConfig(vo.ConfigParam{DataId: "app.yml", Group: group}); err != nil || !ok {
		t.Errorf("DeleteConfig() = %v, %v, want true", ok, err)
	}
	if got, _ := c.GetConfig(vo.ConfigParam{DataId: "app.yml", Group: group}); got != "" {
		t.Errorf("GetConfig() after the removal = %q, want nothing", got)
	}
	if ok, err := c.DeleteConfig(vo.ConfigParam{DataId: "app.yml", Group: group}); err != nil || !ok {
		t.Errorf("DeleteConfig() of what is gone = %v, %v, want true", ok, err)
	}
}

// NAC-CFG-44: a publish with the digest of the present content succeeds, one
// with another digest changes nothing.
func TestCAS(t *testing.T) {
	n := node.Run(t, node.Options{})
	c := connect(t, n)
	publish(t, c, "cas", "one")
	sum := md5.Sum([]byte("one"))
	ok, err := c.PublishConfig(vo.ConfigParam{DataId: "cas", Group: group, Content: "two", CasMd5: hex.EncodeToString(sum[:])})
	if err != nil || !ok {
		t.Fatalf("PublishConfig() with the right digest = %v, %v, want true", ok, err)
	}
	wantContent(t, c, "cas", "two")
	ok, err = c.PublishConfig(vo.ConfigParam{DataId: "cas", Group: group, Content: "three", CasMd5: hex.EncodeToString(sum[:])})
	if ok || err == nil || !strings.Contains(err.Error(), "Cas publish fail") {
		t.Errorf("PublishConfig() with an old digest = %v, %v, want the refusal", ok, err)
	}
	wantContent(t, c, "cas", "two")
}

// event is one call of a listener.
type event struct{ namespace, group, name, data string }

func listen(t *testing.T, c config_client.IConfigClient, name string) <-chan event {
	t.Helper()
	events := make(chan event, 256) // more than any test causes
	err := c.ListenConfig(vo.ConfigParam{DataId: name, Group: group, OnChange: func(namespace, group, name, data string) {
		events <- event{namespace, group, name, data}
	}})
	if err != nil {
		t.Fatalf("ListenConfig(%s) = %v", name, err)
	}
	return events
}

// until reads events until one carries the content, at most for the time given;
// others are older ones.
func until(events <-chan event, within time.Duration, content string) (event, bool) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		select {
		case e := <-events:
			if e.data == content {
				return e, true
			}
		case <-deadline.C:
			return event{}, false
		}
	}
}

// hear waits until the listener is told the content.
func hear(t *testing.T, events <-chan event, content string) {
	t.Helper()
	if _, ok := until(events, limit, content); !ok {
		t.Fatalf("no event with %q within %v", content, limit)
	}
}

// spread publishes the content until the listener has it, and returns its event.
// The SDK acknowledges and forgets a push that comes while it refreshes the same
// config, as it marks the config as in sync afterwards; then it needs another.
func spread(t *testing.T, c config_client.IConfigClient, events <-chan event, name, content string) event {
	t.Helper()
	const tries, lost = 4, 8 * time.Second // longer than a new listener takes
	for range tries {
		publish(t, c, name, content)
		if e, ok := until(events, lost, content); ok {
			return e
		}
		t.Logf("%q is published anew", content)
		publish(t, c, name, "between")
	}
	t.Fatalf("no event with %q after it was published %d times", content, tries)
	return event{}
}

// NAC-CFG-60..66: what one client publishes reaches the listener of another.
func TestListen(t *testing.T) {
	n := node.Run(t, node.Options{})
	writer, reader := connect(t, n), connect(t, n)
	publish(t, writer, "live", "v1")
	events := listen(t, reader, "live")
	hear(t, events, "v1")
	for i := 2; i < 20; i++ {
		publish(t, writer, "live", fmt.Sprintf("v%d", i))
	}
	if e := spread(t, writer, events, "live", "v20"); e.group != group || e.name != "live" {
		t.Errorf("event = %+v, want the group and name of the item", e)
	}
	if err := reader.CancelListenConfig(vo.ConfigParam{DataId: "live", Group: group}); err != nil {
		t.Errorf("CancelListenConfig() = %v", err)
	}
}

// NAC-CFG-02: clients that spell the default namespace differently each get the
// pushes for their own spelling.
func TestNamespaceSpellings(t *testing.T) {
	n := node.Run(t, node.Options{})
	blank, public, other := connect(t, n), connect(t, n, constant.WithNamespaceId("public")), connect(t, n, constant.WithNamespaceId("dev"))
	publish(t, blank, "spelt", "v1")
	wantContent(t, public, "spelt", "v1")
	if got, _ := other.GetConfig(vo.ConfigParam{DataId: "spelt", Group: group}); got != "" {
		t.Errorf("GetConfig() in another namespace = %q, want nothing", got)
	}
	a, b := listen(t, blank, "spelt"), listen(t, public, "spelt")
	hear(t, a, "v1")
	// The other client has read v1 already, so its listener is not told of it.
	spread(t, public, a, "spelt", "v2")
	spread(t, blank, b, "spelt", "v3")
}

// NAC-CON-38, NAC-ERR-20, REL-01: after the server was killed and started again
// everything is there, and the clients and listeners go on by themselves.
func TestRestart(t *testing.T) {
	n := node.Run(t, node.Options{})
	writer, reader := connect(t, n), connect(t, n)
	publish(t, writer, "kept", "before")
	events := listen(t, reader, "kept")
	hear(t, events, "before")
	n.Kill()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the writer reads what it wrote before", func() bool {
		got, err := writer.GetConfig(vo.ConfigParam{DataId: "kept", Group: group})
		return err == nil && got == "before"
	})
	eventually(t, "the writer publishes again", func() bool {
		ok, err := writer.PublishConfig(vo.ConfigParam{DataId: "kept", Group: group, Content: "after"})
		return err == nil && ok
	})
	spread(t, writer, events, "kept", "final")
}
