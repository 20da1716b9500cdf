package nacosgo

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"

	"github.com/easynet-cn/batata/e2e/node"
)

// naming returns a client of the SDK as an application makes it. It takes an empty
// list for what it is.
func naming(t *testing.T, n *node.Node, more ...constant.ClientOption) naming_client.INamingClient {
	t.Helper()
	options := append([]constant.ClientOption{
		constant.WithNotLoadCacheAtStart(true),
		constant.WithUpdateCacheWhenEmpty(true),
		constant.WithLogDir(t.TempDir()),
		constant.WithCacheDir(t.TempDir()),
		constant.WithLogLevel("error"),
		constant.WithTimeoutMs(5000),
	}, more...)
	c, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig:  constant.NewClientConfig(options...),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig("127.0.0.1", uint64(n.Port))},
	})
	if err != nil {
		t.Fatalf("NewNamingClient() = %v", err)
	}
	t.Cleanup(c.CloseClient)
	return c
}

func instance(service, ip string, edit ...func(*vo.RegisterInstanceParam)) vo.RegisterInstanceParam {
	p := vo.RegisterInstanceParam{
		ServiceName: service, Ip: ip, Port: 80, Weight: 1, Enable: true, Healthy: true, Ephemeral: true,
	}
	for _, f := range edit {
		f(&p)
	}
	return p
}

func register(t *testing.T, c naming_client.INamingClient, p vo.RegisterInstanceParam) {
	t.Helper()
	if ok, err := c.RegisterInstance(p); err != nil || !ok {
		t.Fatalf("RegisterInstance(%s) = %v, %v, want true", p.Ip, ok, err)
	}
}

// watch subscribes and returns the lists that the SDK tells of.
func watch(t *testing.T, c naming_client.INamingClient, service string, clusters ...string) <-chan []model.Instance {
	t.Helper()
	const room = 1000 // more than any test has changes
	lists := make(chan []model.Instance, room)
	err := c.Subscribe(&vo.SubscribeParam{
		ServiceName: service, Clusters: clusters,
		SubscribeCallback: func(list []model.Instance, err error) {
			if err == nil {
				lists <- list
			}
		},
	})
	if err != nil {
		t.Fatalf("Subscribe(%s) = %v", service, err)
	}
	return lists
}

func addresses(list []model.Instance) []string {
	out := []string{}
	for _, i := range list {
		out = append(out, i.Ip)
	}
	slices.Sort(out)
	return out
}

// untilList waits for a list of these addresses.
func untilList(t *testing.T, lists <-chan []model.Instance, want ...string) []model.Instance {
	t.Helper()
	deadline := time.After(limit)
	var last []string
	for {
		select {
		case list := <-lists:
			if last = addresses(list); slices.Equal(last, want) {
				return list
			}
		case <-deadline:
			t.Fatalf("not told of %v within %v, last of %v", want, limit, last)
		}
	}
}

// requests is how many calls of one type the server has had.
func requests(t *testing.T, n *node.Node, kind string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, n.URL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Timeout: limit}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), fmt.Sprintf("batata_nacos_grpc_requests_total{type=%q} ", kind)); ok {
			count, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return count
		}
	}
	return 0
}

// NAC-NAM-01..11, 20, 22, 28, 31, 40, 42: what one client registers reaches the
// subscriber of another as it was given, and so do its change and its end.
func TestRegisterSubscribePush(t *testing.T) {
	n := node.Run(t, node.Options{})
	provider, consumer := naming(t, n), naming(t, n)
	lists := watch(t, consumer, "orders")
	register(t, provider, instance("orders", "10.1.1.1", func(p *vo.RegisterInstanceParam) {
		p.Weight, p.Metadata = 2.5, map[string]string{"version": "1", "中": "文"}
	}))
	got := untilList(t, lists, "10.1.1.1")[0]
	if got.Port != 80 || got.Weight != 2.5 || !got.Healthy || !got.Enable || !got.Ephemeral || got.ClusterName != "DEFAULT" ||
		got.ServiceName != group+"@@orders" || got.Metadata["version"] != "1" || got.Metadata["中"] != "文" || len(got.Metadata) != 2 {
		t.Errorf("instance = %+v, want it as it was registered", got)
	}
	if got.InstanceId != "10.1.1.1#80#DEFAULT#"+group+"@@orders" {
		t.Errorf("instance id = %q", got.InstanceId)
	}
	if ok, err := provider.UpdateInstance(vo.UpdateInstanceParam{
		ServiceName: "orders", Ip: "10.1.1.1", Port: 80, Weight: 1, Enable: true, Healthy: true, Ephemeral: true, Metadata: map[string]string{"version": "2"},
	}); err != nil || !ok {
		t.Fatalf("UpdateInstance() = %v, %v, want true", ok, err)
	}
	if got := untilList(t, lists, "10.1.1.1")[0]; got.Metadata["version"] != "2" || got.Weight != 1 {
		t.Errorf("after the update = %+v", got)
	}
	if ok, err := provider.DeregisterInstance(vo.DeregisterInstanceParam{ServiceName: "orders", Ip: "10.1.1.1", Port: 80, Ephemeral: true}); err != nil || !ok {
		t.Fatalf("DeregisterInstance() = %v, %v, want true", ok, err)
	}
	untilList(t, lists)
}

// NAC-NAM-24, 26, 27, 60: a batch, its clusters, and the list of services.
func TestBatch(t *testing.T) {
	n := node.Run(t, node.Options{})
	provider, consumer := naming(t, n), naming(t, n)
	all, some := watch(t, consumer, "batch"), watch(t, naming(t, n), "batch", "c1")
	ok, err := provider.BatchRegisterInstance(vo.BatchRegisterInstanceParam{ServiceName: "batch", Instances: []vo.RegisterInstanceParam{
		instance("", "10.1.1.1", func(p *vo.RegisterInstanceParam) { p.ClusterName = "c1" }),
		instance("", "10.1.1.2", func(p *vo.RegisterInstanceParam) { p.ClusterName = "c2" }),
		instance("", "10.1.1.3", func(p *vo.RegisterInstanceParam) { p.ClusterName, p.Healthy = "c2", false }),
	}})
	if err != nil || !ok {
		t.Fatalf("BatchRegisterInstance() = %v, %v, want true", ok, err)
	}
	untilList(t, all, "10.1.1.1", "10.1.1.2", "10.1.1.3")
	untilList(t, some, "10.1.1.1")
	healthy, err := consumer.SelectInstances(vo.SelectInstancesParam{ServiceName: "batch", HealthyOnly: true})
	if err != nil || !slices.Equal(addresses(healthy), []string{"10.1.1.1", "10.1.1.2"}) {
		t.Errorf("SelectInstances(healthy) = %v, %v", addresses(healthy), err)
	}
	services, err := consumer.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: group, PageNo: 1, PageSize: 10})
	if err != nil || services.Count != 1 || !slices.Equal(services.Doms, []string{"batch"}) {
		t.Errorf("GetAllServicesInfo() = %+v, %v, want the one", services, err)
	}
}

// NAC-NAM-51, NAC-PRF-01: what a client registered goes with it, within a second.
func TestClientEnds(t *testing.T) {
	n := node.Run(t, node.Options{})
	lists := watch(t, naming(t, n), "orders")
	provider := naming(t, n)
	register(t, provider, instance("orders", "10.1.1.1"))
	untilList(t, lists, "10.1.1.1")
	provider.CloseClient()
	begin := time.Now()
	untilList(t, lists)
	// The server may warm up for the first seconds (FLT-04).
	if took := time.Since(begin); took > 7*time.Second {
		t.Errorf("the instance was seen for %v after its client ended", took)
	}
}

// NAC-CON-38, 39, NAC-PRF-05: after the server was killed and started again the
// clients register and subscribe by themselves, and pushes go on.
func TestNamingRestart(t *testing.T) {
	n := node.Run(t, node.Options{})
	one, two, consumer := naming(t, n), naming(t, n), naming(t, n)
	lists := watch(t, consumer, "orders")
	register(t, one, instance("orders", "10.1.1.1"))
	register(t, two, instance("orders", "10.1.1.2"))
	untilList(t, lists, "10.1.1.1", "10.1.1.2")
	n.Kill()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := naming(t, n)
	eventually(t, "both are registered again", func() bool {
		list, err := fresh.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: "orders"})
		return err == nil && slices.Equal(addresses(list), []string{"10.1.1.1", "10.1.1.2"})
	})
	register(t, fresh, instance("orders", "10.1.1.3"))
	untilList(t, lists, "10.1.1.1", "10.1.1.2", "10.1.1.3")
}

// NAC-ERR-21: a registration that is refused is asked once. Told in the class of
// errors, this SDK asks a hundred times within ten seconds.
func TestRefusedOnce(t *testing.T) {
	n := node.Run(t, node.Options{})
	c := naming(t, n)
	lists := watch(t, c, "other")
	register(t, c, instance("other", "10.1.1.2"))
	untilList(t, lists, "10.1.1.2")
	pause(t, 2*time.Second) // the SDK may repeat it when it learns that it is connected

	before := requests(t, n, "InstanceRequest")
	ok, err := c.RegisterInstance(instance("orders", "10.1.1.1", func(p *vo.RegisterInstanceParam) {
		p.Metadata = map[string]string{"preserved.heart.beat.timeout": "1000"} // below the interval (NAC-NAM-09)
	}))
	if ok {
		t.Errorf("RegisterInstance() = true, %v, want it refused", err)
	}
	pause(t, 7*time.Second) // health checks and redo of the SDK are every 5 s
	if asked := requests(t, n, "InstanceRequest") - before; asked != 1 {
		t.Errorf("the refused registration was asked %d times, want once", asked)
	}
	if list, err := c.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: "orders"}); len(list) != 0 {
		t.Errorf("orders = %v, %v, want nothing", addresses(list), err)
	}
	register(t, c, instance("other", "10.1.1.3"))
	untilList(t, lists, "10.1.1.3")
}

// NAC-NAM-23, 25, NAC-QRK-24, NAC-PRF-09: this SDK registers durable instances over
// HTTP; they survive their client and a restart, and an ephemeral one beside them is
// refused once.
func TestPersistent(t *testing.T) {
	n := node.Run(t, node.Options{})
	c, provider := naming(t, n), naming(t, n)
	register(t, provider, instance("orders", "10.1.1.1", func(p *vo.RegisterInstanceParam) { p.Ephemeral = false }))
	provider.CloseClient()
	before := requests(t, n, "InstanceRequest")
	if ok, err := c.RegisterInstance(instance("orders", "10.1.1.2")); ok {
		t.Errorf("RegisterInstance() of an ephemeral one = true, %v, want it refused", err)
	}
	pause(t, 7*time.Second)
	if asked := requests(t, n, "InstanceRequest") - before; asked != 1 {
		t.Errorf("the refused registration was asked %d times, want once", asked)
	}
	n.Kill()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := naming(t, n)
	list, err := fresh.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: "orders"})
	if err != nil || !slices.Equal(addresses(list), []string{"10.1.1.1"}) || list[0].Ephemeral {
		t.Errorf("after the restart = %+v, %v, want the durable one", list, err)
	}
}

// pause gives the SDK time to do what it should not.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
