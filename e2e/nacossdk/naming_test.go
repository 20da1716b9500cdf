package nacossdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

const (
	// redone is back for SDKs that redo with a slow scan.
	redone = 90 * time.Second
	// pollPeriod is how often SDKs that are pushed ask besides (NAC-TIM-11).
	pollPeriod = 10 * time.Second
)

var (
	one = wire.Instance{
		IP: "10.1.0.1", Port: 8081, Weight: 2.5, Cluster: "DEFAULT",
		Metadata: map[string]string{"zone": "a", "note": "k=v, 中文 \"x\""},
	}
	two   = wire.Instance{IP: "10.1.0.2", Port: 8082, Weight: 1, Cluster: "DEFAULT", Metadata: map[string]string{"zone": "b"}}
	three = wire.Instance{IP: "10.1.0.3", Port: 8083, Weight: 1, Cluster: "DEFAULT", Metadata: map[string]string{}}
)

func service(name string) wire.Item { return wire.Item{Group: "e2e", Service: name} }

func (c client) register(t *testing.T, i wire.Item, instance wire.Instance) {
	t.Helper()
	c.must(t, wire.Command{Op: wire.Register, Item: i, Instance: &instance})
}

func (c client) deregister(t *testing.T, i wire.Item, instance wire.Instance) {
	t.Helper()
	c.must(t, wire.Command{Op: wire.Deregister, Item: i, Instance: &instance})
}

// untilInstances waits until the subscriber is told exactly these instances.
func (c client) untilInstances(t *testing.T, i wire.Item, limit time.Duration, want ...wire.Instance) {
	t.Helper()
	if !c.until(t, i, limit, func(m wire.Message) bool { return same(m.Instances, want) }) {
		t.Fatalf("%s was not told instances %v within %v", c.name, want, limit)
	}
}

// same compares lists of instances without their order.
func same(a, b []wire.Instance) bool {
	return len(a) == len(b) && reflect.DeepEqual(byAddress(a), byAddress(b))
}

// byAddress makes lists comparable: no metadata is none.
func byAddress(list []wire.Instance) map[string]wire.Instance {
	m := map[string]wire.Instance{}
	for _, i := range list {
		if len(i.Metadata) == 0 {
			i.Metadata = nil
		}
		m[fmt.Sprintf("%s:%d", i.IP, i.Port)] = i
	}
	return m
}

// NAC-NAM-20 to 31, 40 to 42; NAC-H1N-01, 02, 06; NAC-UDP-01 to 05: what two
// clients register is pushed to who subscribed before, listed by who did not,
// and gone when they deregister it.
func (r run) discover(t *testing.T) {
	orders := service("orders")
	r.reader.must(t, wire.Command{Op: wire.Subscribe, Item: orders})
	r.writer.register(t, orders, one)
	r.reader.untilInstances(t, orders, told, one)
	if m := r.writer.must(t, wire.Command{Op: wire.List, Item: orders}); !same(m.Instances, []wire.Instance{one}) {
		t.Errorf("list by the writer = %v, want %v", m.Instances, one)
	}

	// Each of these changes waits until the one before was told, so polls alone
	// would take longer than their period.
	begin := time.Now()
	r.reader.register(t, orders, two)
	r.reader.untilInstances(t, orders, told, one, two)
	r.writer.deregister(t, orders, one)
	r.reader.untilInstances(t, orders, told, two)
	r.writer.register(t, orders, one)
	r.reader.untilInstances(t, orders, told, one, two)
	if took := time.Since(begin); !r.polls && took >= pollPeriod {
		t.Errorf("three changes were told within %v, want them pushed", took)
	}

	// A later subscriber is told what is there.
	late := r.connect(t, r.writer.Driver, r.node, "late")
	late.must(t, wire.Command{Op: wire.Subscribe, Item: orders})
	if !r.quietSubscribe {
		late.untilInstances(t, orders, told, one, two)
	}
	r.writer.deregister(t, orders, one)
	r.reader.untilInstances(t, orders, told, two)
	r.reader.deregister(t, orders, two)
	if !r.quietEmpty {
		r.reader.untilInstances(t, orders, told)
	}
	r.wantListed(t, orders, told)
}

// stock is the service that goes through the restart.
func (r run) beforeRestart(t *testing.T) {
	t.Helper()
	stock := service("stock")
	r.reader.must(t, wire.Command{Op: wire.Subscribe, Item: stock})
	r.writer.register(t, stock, one)
	r.reader.register(t, stock, two)
	r.reader.untilInstances(t, stock, told, one, two)
}

// NAC-CON-38, 39, NAC-H1N-22: after the restart the instances of both clients
// come back, and the subscription goes on: the reader is told of what was never
// there before.
func (r run) afterRestart(t *testing.T) {
	t.Helper()
	stock := service("stock")
	limit := back
	if r.slowRedo {
		limit = redone
	}
	if r.deaf {
		for _, c := range []client{r.writer, r.reader} {
			eventually(t, back, c.name+" notices that the server was away", func() bool {
				return c.do(t, wire.Command{Op: wire.List, Item: service("none")}).OK
			})
		}
	}
	r.wantListed(t, stock, limit, one, two)
	r.writer.deregister(t, stock, one)
	r.writer.register(t, stock, three)
	r.reader.untilInstances(t, stock, limit, two, three)
	r.wantListed(t, stock, told, two, three)
}

// wantListed waits until the server itself lists exactly these instances.
func (r run) wantListed(t *testing.T, i wire.Item, limit time.Duration, want ...wire.Instance) {
	t.Helper()
	var got []wire.Instance
	var problem error
	defer func() {
		if t.Failed() {
			t.Logf("the server lists %v, %v", got, problem)
		}
	}()
	eventually(t, limit, fmt.Sprintf("the server lists %v", want), func() bool {
		got, problem = r.listed(i)
		return problem == nil && same(got, want)
	})
}

// listed asks the server itself (NAC-H1N-06).
func (r run) listed(i wire.Item) ([]wire.Instance, error) {
	q := url.Values{"serviceName": {i.Service}, "groupName": {i.Group}}
	alone := http.Client{Timeout: drive.CallLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := alone.Get(r.node.URL() + "/nacos/v1/ns/instance/list?" + q.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list of %s: %s", i.Service, resp.Status)
	}
	var body struct {
		Hosts []struct {
			IP          string            `json:"ip"`
			Port        int               `json:"port"`
			Weight      float64           `json:"weight"`
			ClusterName string            `json:"clusterName"`
			Metadata    map[string]string `json:"metadata"`
		} `json:"hosts"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, fmt.Errorf("list of %s: %s: %w", i.Service, resp.Status, err)
	}
	var list []wire.Instance
	for _, h := range body.Hosts {
		list = append(list, wire.Instance{IP: h.IP, Port: h.Port, Weight: h.Weight, Cluster: h.ClusterName, Metadata: h.Metadata})
	}
	return list, nil
}
