package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/cluster/netfault"
)

const naming = "/nacos/v1/ns/instance"

// owner is a client that keeps one instance alive by beats, through whatever member
// it reaches, or has taken it away.
type owner struct {
	service, ip string
	port        int
	mu          sync.Mutex // guards gone
	gone        bool       // deregistered, and told so
}

func (o *owner) address() string { return fmt.Sprintf("%s:%d", o.ip, o.port) }

func (o *owner) form() url.Values {
	return url.Values{"serviceName": {o.service}, "ip": {o.ip}, "port": {fmt.Sprint(o.port)}, "ephemeral": {"true"}}
}

// owners are some, with a goroutine each.
type owners struct {
	c      *members.Cluster
	all    []*owner
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

const (
	services   = 4
	perService = 6
	beatEvery  = time.Second
)

func startOwners(t *testing.T, c *members.Cluster, seed uint64) *owners {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	os := &owners{c: c, cancel: cancel}
	t.Cleanup(func() { cancel(); os.wg.Wait() })
	for i := range services * perService {
		o := &owner{service: fmt.Sprint("service-", i%services), ip: fmt.Sprintf("10.1.%d.%d", i%services, i/services), port: 80}
		os.all = append(os.all, o)
		r := rand.New(rand.NewPCG(seed, uint64(i)+1000))
		os.wg.Go(func() { os.live(ctx, o, r) })
	}
	return os
}

// live registers, and beats until the end; an instance that is unknown registers
// again.
func (os *owners) live(ctx context.Context, o *owner, r *rand.Rand) {
	w := newWeb()
	defer w.close()
	registered := false
	for ctx.Err() == nil {
		o.mu.Lock()
		if o.gone {
			o.mu.Unlock()
			return
		}
		base := os.c.Nodes[r.IntN(len(os.c.Nodes))].URL()
		if !registered {
			body, err := w.send(ctx, http.MethodPost, base+naming, o.form())
			registered = err == nil && body == "ok"
		} else {
			registered = w.beat(ctx, base, o)
		}
		o.mu.Unlock()
		every := beatEvery
		if !registered {
			every = 50 * time.Millisecond
		}
		pause(ctx, every/2+time.Duration(r.Int64N(int64(every))))
	}
}

// beat returns false when the instance is not known any more. A beat that did not
// arrive says nothing.
func (w *web) beat(ctx context.Context, base string, o *owner) bool {
	beat, _ := json.Marshal(map[string]any{"serviceName": "DEFAULT_GROUP@@" + o.service, "ip": o.ip, "port": o.port, "cluster": "DEFAULT"})
	body, err := w.send(ctx, http.MethodPut, base+naming+"/beat", url.Values{"serviceName": {o.service}, "beat": {string(beat)}})
	if err != nil {
		no, told := errors.AsType[*refusedError](err)
		return !told || no.status != http.StatusNotFound
	}
	return !strings.Contains(body, "20404")
}

// leave takes an instance away, through one member after another until it is told
// that it is gone. The owner does not beat meanwhile.
func (os *owners) leave(t *testing.T, o *owner, order []int) {
	t.Helper()
	w := newWeb()
	defer w.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	members.Eventually(t, o.address()+" is deregistered", func() error {
		i := order[n%len(order)]
		n++
		body, err := w.send(t.Context(), http.MethodDelete, os.c.Nodes[i].URL()+naming, o.form())
		if err == nil && body != "ok" {
			err = errors.New(body)
		}
		return err
	})
	o.gone = true
}

// want are the addresses that a service is to have.
func (os *owners) want(service string) (out []string) {
	for _, o := range os.all {
		o.mu.Lock()
		if o.service == service && !o.gone {
			out = append(out, o.address())
		}
		o.mu.Unlock()
	}
	slices.Sort(out)
	return out
}

// list is what a member tells of a service.
func (w *web) list(ctx context.Context, base, service string) ([]string, error) {
	body, err := w.send(ctx, http.MethodGet, base+naming+"/list", url.Values{"serviceName": {service}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Hosts []struct {
			IP      string
			Port    int
			Healthy bool
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, h := range answer.Hosts {
		out[fmt.Sprintf("%s:%d", h.IP, h.Port)] = true
	}
	return slices.Sorted(maps.Keys(out)), nil
}

// agree compares what all members tell with who lives.
func (os *owners) agree(ctx context.Context, w *web) error {
	for i, n := range os.c.Nodes {
		for k := range services {
			service := fmt.Sprint("service-", k)
			got, err := w.list(ctx, n.URL(), service)
			if err != nil {
				return fmt.Errorf("member %d: %w", i, err)
			}
			if want := os.want(service); !slices.Equal(got, want) {
				return fmt.Errorf("member %d has %v of %s, want %v", i, got, service, want)
			}
		}
	}
	return nil
}

// converge wants all members to agree in time, and to go on so for a while: who was
// deregistered does not come back.
func (os *owners) converge(t *testing.T, limit time.Duration) {
	t.Helper()
	w := newWeb()
	defer w.close()
	took := members.Within(t, limit, "the registry is the same everywhere", func() error { return os.agree(t.Context(), w) })
	t.Logf("the registry was the same everywhere after %v", took.Round(time.Millisecond))
	for range 6 {
		members.Wait(t, 500*time.Millisecond)
		if err := os.agree(t.Context(), w); err != nil {
			t.Errorf("it did not stay so: %v", err)
			return
		}
	}
}

// serving wants a member to have instances of every service, whoever it reaches.
func (os *owners) serving(t *testing.T, i int) {
	t.Helper()
	w := newWeb()
	defer w.close()
	for k := range services {
		got, err := w.list(t.Context(), os.c.Nodes[i].URL(), fmt.Sprint("service-", k))
		if err != nil || len(got) == 0 {
			t.Errorf("member %d told %v, %v of service %d while it was cut off", i, got, err, k)
		}
	}
}

// REL-21, REL-07: instances that live in memory are the same on all members within
// ten seconds after a partition, a kill or a pause, whatever was registered and
// deregistered meanwhile, and every member serves them all the time.
func TestRegistry(t *testing.T) {
	onlyLong(t)
	seed := seedOf(t)
	c := members.Run(t, members.Options{Faults: true, Seed: seed})
	s := &site{t: t, c: c, seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	os := startOwners(t, c, seed)
	os.converge(t, time.Minute)
	left := s.rng.Perm(len(os.all))
	next := func() *owner { o := os.all[left[0]]; left = left[1:]; return o }
	for _, what := range []string{"isolate", "kill", "isolate", "restart", "flap", "kill"} {
		victim := s.rng.IntN(3)
		others := []int{(victim + 1) % 3, (victim + 2) % 3}
		t.Logf("%s of member %d", what, victim)
		switch what {
		case "isolate":
			c.Net.Isolate(victim, netfault.Link{Cut: true})
			members.Wait(t, 2*time.Second)
			os.leave(t, next(), others)
			os.serving(t, victim)
			os.leave(t, next(), []int{victim, others[0], others[1]})
			members.Wait(t, 4*time.Second)
			os.serving(t, victim)
		case "kill":
			c.Nodes[victim].Kill()
			os.leave(t, next(), others)
			members.Wait(t, time.Second)
			c.Start(victim)
		case "restart":
			c.Nodes[victim].Stop()
			os.leave(t, next(), others)
			c.Start(victim)
		case "flap":
			for range 10 {
				c.Net.Isolate(victim, netfault.Link{Cut: true})
				s.wait(300 * time.Millisecond)
				c.Net.Heal()
				s.wait(300 * time.Millisecond)
			}
			os.leave(t, next(), []int{victim, others[0], others[1]})
		}
		c.Net.Heal()
		os.converge(t, healLimit)
	}
}
