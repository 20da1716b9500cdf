package udppush

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

const (
	javaAgent = "Nacos-Java-Client:v1.4.8"
	goAgent   = "Nacos-Go-Client:v1.0.1"
)

// rig is a real node that pushes from a real socket, bound to loopback as in
// protected mode.
type rig struct {
	t       *testing.T
	core    plugin.Core
	naming  *naming.Service
	api     *API
	metrics *prometheus.Registry
	socket  net.PacketConn
	stop    func()
}

func newRig(t *testing.T, s Settings) *rig {
	t.Helper()
	r := &rig{t: t, metrics: prometheus.NewRegistry()}
	var err error
	if r.core, err = coretest.Start(t).Attach(t.Context(), "nacos", nil); err != nil {
		t.Fatalf("Attach() = %v", err)
	}
	r.naming = naming.New(naming.Settings{
		Catalog: r.core.Registry(), Ephemeral: r.core.Ephemeral(), Store: r.core.KV(), Committer: r.core.Txn(),
		Owner: "nacos", Hosts: 1,
	})
	s.Naming, s.Logger, s.Metrics, s.Synced = r.naming, zap.NewNop(), r.metrics, fanout.Synced(r.core.Registry())
	if s.Delay == 0 {
		s.Delay = 10 * time.Millisecond
	}
	if r.api, err = New(s); err != nil {
		t.Fatalf("New() = %v", err)
	}
	following := make(chan struct{})
	r.naming.OnReset(sync.OnceFunc(func() { close(following) }))
	if r.socket, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for _, run := range []func(context.Context) error{
		r.naming.Run, r.api.Run, func(ctx context.Context) error { return r.api.Serve(ctx, r.socket) },
	} {
		workers.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("worker = %v", err)
			}
		})
	}
	r.stop = func() { cancel(); workers.Wait() }
	t.Cleanup(r.stop)
	<-following
	r.eventually("the socket is served", func() bool {
		r.api.mu.Lock()
		defer r.api.mu.Unlock()
		return r.api.socket != nil
	})
	return r
}

func (r *rig) eventually(what string, yes func() bool) {
	r.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(20 * time.Second)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			r.t.Fatalf("%s: still not so", what)
		}
	}
}

// metric is the value of a counter or gauge.
func (r *rig) metric(name string) (v float64) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			v += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return v
}

func key(name string) registry.ServiceKey { return naming.Key("", "G", name) }

func (r *rig) register(name, ip string, edit ...func(*naming.Instance)) {
	r.t.Helper()
	in := naming.NewInstance(ip, 80)
	for _, f := range edit {
		f(&in)
	}
	if err := r.naming.Register(r.t.Context(), naming.Address(ip, 80), key(name), in); err != nil {
		r.t.Fatalf("Register() = %v", err)
	}
}

// listener is a client's socket.
type listener struct {
	*net.UDPConn
	t *testing.T
	r *rig
}

func (r *rig) listen(address string) *listener {
	r.t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return &listener{c, r.t, r}
}

func (l *listener) port() int { return l.LocalAddr().(*net.UDPAddr).Port }

// request is a list call from loopback.
func (l *listener) request(name string) Request {
	return Request{Service: key(name), Agent: javaAgent, App: "app", Peer: "127.0.0.1", IP: "127.0.0.1", Port: l.port()}
}

// pushed is a packet as a client understands it.
type pushed struct {
	Name    string
	Group   *string `json:"groupName"`
	RefTime int64   `json:"lastRefTime"`
	Hosts   []struct {
		IP string `json:"ip"`
	} `json:"hosts"`

	ref  int64
	zip  bool
	size int
	from net.Addr
}

// packet waits for one; false when none comes in a time.
func (l *listener) packet(limit time.Duration) (p pushed, ok bool) {
	l.t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(limit)); err != nil {
		l.t.Fatal(err)
	}
	b := make([]byte, maxDatagram)
	n, from, err := l.ReadFrom(b)
	if err != nil {
		return p, false
	}
	b = b[:n]
	zip := bytes.HasPrefix(b, []byte{0x1f, 0x8b})
	if zip {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			l.t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			l.t.Fatal(err)
		}
	}
	var outer struct {
		Type, Data string
		Ref        int64 `json:"lastRefTime"`
	}
	if err := json.Unmarshal(b, &outer); err != nil || outer.Type != "dom" {
		l.t.Fatalf("packet %s: %v", b, err)
	}
	if err := json.Unmarshal([]byte(outer.Data), &p); err != nil {
		l.t.Fatalf("data %s: %v", outer.Data, err)
	}
	p.ref, p.zip, p.size, p.from = outer.Ref, zip, len(b), from
	return p, true
}

// until waits for a list of so many instances, and acknowledges all packets.
func (l *listener) until(instances int) pushed {
	l.t.Helper()
	for {
		p, ok := l.packet(10 * time.Second)
		if !ok {
			l.t.Fatalf("no packet with %d instances", instances)
		}
		l.ack(p, `"%d"`)
		if len(p.Hosts) == instances {
			return p
		}
	}
}

// ack answers where a packet came from, with the reference in a form.
func (l *listener) ack(p pushed, form string) {
	l.t.Helper()
	text := `{"type":"push-ack","lastRefTime":` + fmt.Sprintf(form, p.ref) + `,"data":""}`
	if _, err := l.WriteTo([]byte(text), p.from); err != nil {
		l.t.Fatal(err)
	}
}
