package nacos_test

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/plugintest"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream/streamtest"
)

// sites are the personality on each of three members.
type sites struct {
	*coretest.Cluster
	list []*site
}

func newSites(t *testing.T, change ...func(i int, c *core.Config)) *sites {
	t.Helper()
	s := &sites{Cluster: coretest.StartCluster(t, 3, change...)}
	for i := range 3 {
		site := newSite(t, plugintest.Settings{Node: s.Node(i), Values: map[string]any{"auth": map[string]any{"admin_enabled": false}}})
		u, err := url.Parse(site.URL(plugin.Main))
		if err != nil {
			t.Fatal(err)
		}
		s.Node(i).Announce(map[string]string{plugin.Main: u.Host}, nil)
		s.list = append(s.list, site)
	}
	return s
}

// published publishes; an election may hold it up.
func (s *site) published(name, content string) {
	s.t.Helper()
	v := url.Values{"dataId": {name}, "group": {"G"}, "content": {content}}
	coretest.Eventually(s.t, "the publish is taken", func() error {
		if a := s.form(http.MethodPost, configs, v); a.status != http.StatusOK {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// reads wants a content; without a leader for a moment, a read is from what there
// is.
func (s *site) reads(name, content string) {
	s.t.Helper()
	coretest.Eventually(s.t, "the content is read", func() error {
		if a := s.get(configs + "?dataId=" + name + "&group=G"); a.status != http.StatusOK || a.body != content {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
}

// shownNode is a member as the reference tells it, as far as tests look.
type shownNode struct {
	IP, State, Address string
	Port               int
	FailAccessCnt      int
	GRPCReportEnabled  bool
	ExtendInfo         struct {
		LastRefreshTime                  int64
		RaftPort, Version, Breaker       string
		Site, Weight, AdWeight           string
		ReadyToUpgrade, SupportGrayModel bool
		RaftMetaData                     struct{ MetaDataMap map[string]shownGroup }
	}
	Abilities map[string]map[string]bool
}

type shownGroup struct {
	Leader          string
	RaftGroupMember []string
	Term            uint64
}

// nodes asks a path for members, or for one.
func (s *site) nodes(target string) []shownNode {
	s.t.Helper()
	a := s.get(target)
	var out struct{ Data []shownNode }
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("GET %s = %d %s: %v", target, a.status, a.body, err)
	}
	return out.Data
}

const (
	nodesV1 = "/nacos/v1/core/cluster/nodes"
	nodesV3 = "/nacos/v3/admin/core/cluster/node/list"
)

// NAD-CLU-10 to 13, NAC-H1X-12, 13, NAC-H2-70, NAD-CORE-10, 11, 14: every member
// tells of all the same, with the health that it sees itself (ARC-R13).
func TestMembers(t *testing.T) {
	s := newSites(t, func(i int, c *core.Config) { c.Peer.Meta = map[string]string{"site": fmt.Sprint("s", i)} })
	all := func(in *site, state string) func() error {
		return func() error {
			got := in.nodes(nodesV1)
			for i := range got {
				if got[i].State != state {
					return fmt.Errorf("%s is %s", got[i].Address, got[i].State)
				}
			}
			if len(got) != 3 {
				return fmt.Errorf("%d members", len(got))
			}
			return nil
		}
	}
	for _, site := range s.list {
		coretest.Eventually(t, "three members are up", all(site, "UP"))
		for _, path := range []string{nodesV1, "/nacos/v2/core/cluster/node/list", nodesV3} {
			s.wantNodes(t, site, path)
		}
	}
	one := s.list[0]
	for target, want := range map[string]string{
		"/nacos/v1/core/cluster/health":                 `{"code":200,"message":null,"data":"UP","noRight":false}`,
		"/nacos/v2/core/cluster/node/self/health":       `{"code":0,"message":"success","data":"UP"}`,
		"/nacos/v3/admin/core/cluster/node/self/health": `{"code":0,"message":"success","data":"UP"}`,
		nodesV3 + "?state=down":                         `{"code":0,"message":"success","data":[]}`,
		nodesV3 + "?address=10.99.":                     `{"code":0,"message":"success","data":[]}`,
		nodesV1 + "?keyword=zzz":                        `{"code":200,"message":null,"data":[],"noRight":false}`,
	} {
		one.want(one.get(target), http.StatusOK, want)
	}
	one.want(one.get(nodesV3+"?state=sleepy"), http.StatusBadRequest, `{"code":23000,"message":"illegal state","data":"Illegal state: sleepy"}`)
	if got := one.nodes(nodesV3 + "?state=up&address=127."); len(got) != 3 {
		t.Errorf("members that are up at 127. = %d, want 3", len(got))
	}
	var simple struct{ Data []string }
	if err := json.Unmarshal([]byte(one.get("/nacos/v1/core/cluster/simple/nodes").body), &simple); err != nil || len(simple.Data) != 3 {
		t.Errorf("addresses = %v, %v, want three", simple.Data, err)
	}
	s.wantFailing(t)
}

// wantNodes wants the same three members of every list.
func (s *sites) wantNodes(t *testing.T, at *site, path string) {
	t.Helper()
	got := at.nodes(path)
	if len(got) != 3 || !slices.IsSortedFunc(got, func(a, b shownNode) int { return strings.Compare(a.Address, b.Address) }) {
		t.Fatalf("GET %s = %d members, want three by address", path, len(got))
	}
	for _, n := range got {
		x := n.ExtendInfo
		if n.Address != fmt.Sprintf("%s:%d", n.IP, n.Port) || !n.GRPCReportEnabled || x.RaftPort != fmt.Sprint(n.Port-1000) ||
			!strings.HasPrefix(x.Version, "3.") || !x.ReadyToUpgrade || !x.SupportGrayModel || !n.Abilities["namingAbility"]["supportJraft"] {
			t.Errorf("member = %+v", n)
		}
		if age := time.Since(time.UnixMilli(x.LastRefreshTime)); age < -time.Second || age > time.Minute {
			t.Errorf("%s was refreshed %v ago", n.Address, age)
		}
		own := "http://"+n.Address == at.base
		if (x.Breaker == "") != own || x.Breaker != "" && x.Breaker != "closed" {
			t.Errorf("breaker of %s = %q, own %t", n.Address, x.Breaker, own)
		}
		i := slices.IndexFunc(s.list, func(o *site) bool { return o.base == "http://"+n.Address })
		if i < 0 || x.Site != fmt.Sprint("s", i) || x.Weight != "" {
			t.Errorf("member %s is of site %q, weight %q", n.Address, x.Site, x.Weight)
		}
		g := x.RaftMetaData.MetaDataMap["naming_persistent_service_v2"]
		if len(g.RaftGroupMember) != 3 || !slices.Contains(g.RaftGroupMember, g.Leader) || g.Term == 0 {
			t.Errorf("group of raft = %+v, want three members and their leader", g)
		}
	}
}

// wantFailing cuts one member off and wants the others to see it, and back.
func (s *sites) wantFailing(t *testing.T) {
	t.Helper()
	lost := s.Followers()[0]
	other := s.list[(lost+1)%3]
	address := strings.TrimPrefix(s.list[lost].base, "http://")
	var last shownNode
	state := func(want string) func() error {
		return func() error {
			for _, n := range other.nodes(nodesV1) {
				if n.Address == address {
					last = n
				}
			}
			if last.State != want {
				return fmt.Errorf("it is %s after %d failures", last.State, last.FailAccessCnt)
			}
			return nil
		}
	}
	s.Isolate(lost)
	coretest.Eventually(t, "it is suspicious", func() error {
		if err := state("SUSPICIOUS")(); last.State != "DOWN" { // it may have gone by unseen
			return err
		}
		return nil
	})
	coretest.Eventually(t, "it is down", state("DOWN"))
	if last.FailAccessCnt < 4 { // NAD-CLU-12: more than three
		t.Errorf("failAccessCnt of a member that is down = %d, want more than 3", last.FailAccessCnt)
	}
	s.Join(lost)
	coretest.Eventually(t, "it is up again", state("UP"))
	if last.FailAccessCnt != 0 {
		t.Errorf("failAccessCnt of a member that is up = %d, want 0", last.FailAccessCnt)
	}
}

// NAD-CLU-34, NAD-MET-04, NAD-DEC-04: a member without a quorum is alive and not
// ready, answers reads from what it has, keeps ephemeral instances, and refuses
// what needs a quorum; once there is one, it is ready and up to date.
func TestWithoutQuorum(t *testing.T) {
	s := newSites(t)
	cut := s.Followers()[0]
	alone, other := s.list[cut], s.list[(cut+1)%3]
	other.published("a", "before")
	alone.reads("a", "before")
	s.Isolate(cut)
	const readiness = "/nacos/v3/admin/core/state/readiness"
	coretest.Eventually(t, "it is not ready", func() error {
		if a := alone.get(readiness); a.status != http.StatusInternalServerError {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	const why = "config and naming not in readiness"
	alone.want(alone.get(readiness), http.StatusInternalServerError, `{"code":30000,"message":"server error","data":"`+why+`"}`)
	alone.want(alone.get("/nacos/v1/console/health/readiness"), http.StatusInternalServerError, why)
	alone.want(alone.get("/nacos/v1/cs/health"), http.StatusOK, "DOWN:"+why)
	alone.want(alone.get("/nacos/v1/console/health/liveness"), http.StatusOK, "OK")
	alone.want(alone.get("/nacos/v3/admin/core/state/liveness"), http.StatusOK, `{"code":0,"message":"success","data":"ok"}`)
	other.published("a", "after")
	alone.want(alone.get(configs+"?dataId=a&group=G"), http.StatusOK, "before") // a Fresh read falls back (ARC-R08)
	// The reference has 500 here (NAD-CLU-34), as for a write whose outcome is
	// unknown. SDKs go to the next server on either; 503 says that nothing was done.
	v := url.Values{"dataId": {"b"}, "group": {"G"}, "content": {"c"}}
	alone.want(alone.form(http.MethodPost, configs, v), http.StatusServiceUnavailable, "no leader")
	kept := fields("serviceName", "kept", "ip", "10.0.0.1", "port", "80", "ephemeral", "false")
	alone.want(alone.form(http.MethodPost, instance, kept), http.StatusServiceUnavailable, "no leader")
	alone.register("shop", "10.0.0.2", "80")
	if got := alone.listed("serviceName=shop"); len(got.Hosts) != 1 {
		t.Errorf("list of ephemeral instances = %+v, want one", got.Hosts)
	}
	if a := alone.get("/nacos/v1/ns/operator/metrics"); !strings.Contains(a.body, `"status":"UP"`) {
		t.Errorf("status for clients = %s, want UP: what needs no quorum goes on", a.body)
	}
	s.Join(cut)
	coretest.Eventually(t, "it is ready again", func() error {
		if a := alone.get(readiness); a.status != http.StatusOK {
			return errors.New(a.body)
		}
		return nil
	})
	alone.reads("a", "after")
}

// NAC-NAM-44, NAC-CFG-66: whoever listens, on whatever member and in whatever way,
// learns of what was changed on any of them.
func TestPushesOfMembers(t *testing.T) {
	s := newSites(t)
	var listeners, subscribers []*streamtest.Client
	for i, site := range s.list {
		at := site.GRPC("grpc")
		l := streamtest.Connect(t, at, fmt.Sprintf("10.0.0.%d", i), map[string]string{"module": "config", "source": "sdk"})
		l.Call("ConfigBatchListenRequest", nil,
			[]byte(`{"listen":true,"configListenContexts":[{"dataId":"pushed","group":"G","tenant":"","md5":""}]}`))
		n := streamtest.Connect(t, at, fmt.Sprintf("10.0.1.%d", i), map[string]string{"module": "naming", "source": "sdk"})
		n.Call("SubscribeServiceRequest", nil,
			[]byte(`{"namespace":"public","groupName":"DEFAULT_GROUP","serviceName":"shop","subscribe":true,"clusters":""}`))
		listeners, subscribers = append(listeners, l), append(subscribers, n)
	}
	before := ""
	for by, site := range s.list {
		polls := make(chan answer, 3)
		v := url.Values{"Listening-Configs": {"pushed\x02G\x02" + before + "\x01"}}
		for _, each := range s.list {
			go func() { polls <- each.form(http.MethodPost, listener, v, "Long-Pulling-Timeout", "60000") }()
		}
		content := fmt.Sprint("of member ", by)
		site.published("pushed", content)
		before = fmt.Sprintf("%x", md5.Sum([]byte(content)))
		for i := range s.list {
			if a := <-polls; a.status != http.StatusOK || !strings.HasPrefix(a.body, "pushed%02G%01") {
				t.Errorf("long poll after a publish on member %d = %d %q", by, a.status, a.body)
			}
			await(t, listeners[i], "ConfigChangeNotifyRequest", "ConfigChangeNotifyResponse", `"dataId":"pushed"`)
			kind, body := listeners[i].Call("ConfigQueryRequest", map[string]string{"notify": "true"}, []byte(`{"dataId":"pushed","group":"G","tenant":""}`))
			if !strings.Contains(string(body), content) { // local: the push proves that it is here
				t.Errorf("query after the push on member %d = %s %s, want %q", i, kind, body, content)
			}
		}
		ip := fmt.Sprintf("10.1.0.%d", by)
		site.register("shop", ip, "80")
		for i := range s.list {
			await(t, subscribers[i], "NotifySubscriberRequest", "NotifySubscriberResponse", ip)
		}
	}
}

// await takes pushes until one of a kind holds a text, and acknowledges them.
func await(t *testing.T, c *streamtest.Client, kind, ack, text string) {
	t.Helper()
	for {
		p := c.Next()
		if p.GetMetadata().GetType() != kind {
			t.Fatalf("pushed %v, want %s", p, kind)
		}
		c.Acknowledge(ack)
		if strings.Contains(string(p.GetBody().GetValue()), text) {
			return
		}
	}
}

// ARC-R08, CTR-B07: what was published on one member is read on another at once,
// without any waiting of the client. A read that has no quorum round in time says
// so in a figure; every other one is fresh.
func TestReadYourWriteElsewhere(t *testing.T) {
	s := newSites(t)
	const fallbacks = "batata_core_fresh_fallbacks_total"
	fresh := 0
	for round := range 30 {
		from, to := round%3, (round+1+round/3%2)%3
		content := fmt.Sprint(round)
		s.list[from].published("written", content)
		before := s.Metric(t, to, fallbacks)
		a := s.list[to].get(configs + "?dataId=written&group=G")
		switch {
		case a.body == content:
			fresh++
		case s.Metric(t, to, fallbacks) == before:
			t.Errorf("round %d: member %d reads %q after member %d acknowledged %q, and calls it fresh", round, to, a.body, from, content)
		}
	}
	if fresh < 10 {
		t.Errorf("%d of 30 reads were fresh, want most", fresh)
	}
}
