package udppush

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// NAC-UDP-01, 03..05, NAC-NAM-30, 40..42: who subscribes is pushed what there is,
// then what changes, as recorded; its acknowledgement counts in both forms. The
// socket is bound to loopback and the client says it is at an outer address of
// this machine, as SDKs beside a protected server do.
func TestPush(t *testing.T) {
	for name, address := range map[string]string{"loopback": "127.0.0.1", "outer": outer(t).String()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Settings{})
			l := r.listen("0.0.0.0:0")
			q := l.request("s")
			q.IP = address
			r.api.Subscribe(q)
			first, ok := l.packet(10 * time.Second)
			if !ok || len(first.Hosts) != 0 || first.Name != "G@@s" || first.Group != nil || first.zip || first.RefTime == 0 {
				t.Fatalf("first packet = %+v, %t, want an empty list of G@@s", first, ok)
			}
			l.ack(first, "%d")
			r.register("s", "10.1.1.1")
			if p := l.until(1); p.Hosts[0].IP != "10.1.1.1" || p.ref == first.ref {
				t.Errorf("second packet = %+v, want the instance", p)
			}
			r.eventually("both are acknowledged", func() bool { return r.metric("udp_acks_total") >= 2 })
			r.api.mu.Lock()
			defer r.api.mu.Unlock()
			if len(r.api.sent) != 0 {
				t.Errorf("%d packets wait for acknowledgement, want none", len(r.api.sent))
			}
		})
	}
}

// NAC-H1N-16, NAC-H2-42, 43, NAC-UDP-01: subscribers are listed, and forgotten when
// they ask no more; a client that has published stays (NAC-NAM-53).
func TestSubscribers(t *testing.T) {
	r := newRig(t, Settings{Lifetime: 1500 * time.Millisecond})
	l, publisher := r.listen("127.0.0.1:0"), r.listen("127.0.0.1:0")
	q := l.request("s")
	q.Clusters = "a,b"
	r.api.Subscribe(q)
	in := naming.NewInstance("127.0.0.1", uint16(publisher.port()))
	if err := r.naming.Register(t.Context(), naming.Address(in.IP, in.Port), key("mine"), in); err != nil {
		t.Fatal(err)
	}
	r.api.Subscribe(publisher.request("p"))

	id := fmt.Sprintf("127.0.0.1:%d#true", l.port())
	want := naming.Subscriber{
		Service: key("s"), ClientID: id, IP: "127.0.0.1", Port: l.port(), Agent: javaAgent, App: "app", Clusters: "a,b",
	}
	if got := r.naming.Subscribers(key("s")); len(got) != 1 || got[0] != want {
		t.Errorf("Subscribers() = %+v, want %+v", got, want)
	}
	if got, err := r.naming.Subscriptions(t.Context(), id); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("Subscriptions() = %+v, %v, want %+v", got, err, want)
	}
	if got := r.api.Clients(); len(got) != 2 {
		t.Errorf("Clients() = %v, want two", got)
	}
	r.eventually("who asks no more is forgotten", func() bool { return len(r.naming.Subscribers(key("s"))) == 0 })
	if n := r.naming.SubscriptionCount(); n != 1 {
		t.Errorf("SubscriptionCount() = %d, want that of who has published", n)
	}
	if _, err := r.naming.Subscriptions(t.Context(), id); err == nil {
		t.Errorf("Subscriptions(%s) of who was forgotten, want an error", id)
	}
}

// NAC-UDP-06: a packet that is not acknowledged comes again once, with what is true
// then; then no more.
func TestRepeat(t *testing.T) {
	r := newRig(t, Settings{AckWithin: 200 * time.Millisecond})
	r.register("s", "10.1.1.1")
	l := r.listen("127.0.0.1:0")
	r.api.Subscribe(l.request("s"))
	first, ok := l.packet(10 * time.Second)
	second, again := l.packet(10 * time.Second)
	if !ok || !again || len(first.Hosts) != 1 || len(second.Hosts) != 1 || second.RefTime < first.RefTime {
		t.Fatalf("packets = %+v, %+v, want one list twice", first, second)
	}
	r.eventually("the list is given up", func() bool { return r.metric("udp_lost_total") == 1 })
	if p, ok := l.packet(1500 * time.Millisecond); ok {
		t.Errorf("third packet = %+v, want none", p)
	}
	l.ack(second, "%d") // too late
	r.eventually("it acknowledges nothing", func() bool { return r.metric("udp_strange_total") == 1 })

	r.register("s", "10.1.1.2") // a change has a second attempt of its own
	for range 2 {
		if p, ok := l.packet(10 * time.Second); !ok || len(p.Hosts) != 2 {
			t.Fatalf("after a change = %+v, %t, want two instances", p, ok)
		}
	}
}

// An unknown service has no version; its empty list is not pushed for ever.
func TestRepeatUnknown(t *testing.T) {
	r := newRig(t, Settings{AckWithin: 200 * time.Millisecond})
	l := r.listen("127.0.0.1:0")
	r.api.Subscribe(l.request("none"))
	r.eventually("the list is given up", func() bool { return r.metric("udp_lost_total") == 1 })
	if n := r.metric("udp_pushes_total"); n != 2 {
		t.Errorf("%v packets, want two", n)
	}
}

// An acknowledgement from another port, or of another packet, counts for nothing.
func TestForeignAck(t *testing.T) {
	r := newRig(t, Settings{AckWithin: 200 * time.Millisecond})
	l, thief := r.listen("127.0.0.1:0"), r.listen("127.0.0.1:0")
	r.api.Subscribe(l.request("s"))
	p, ok := l.packet(10 * time.Second)
	if !ok {
		t.Fatal("no packet")
	}
	thief.ack(p, `"%d"`)
	l.ack(pushed{ref: p.ref + 1, from: p.from}, `"%d"`)
	l.ack(p, `"%dx"`)
	r.eventually("all are strange", func() bool { return r.metric("udp_strange_total") == 3 })
	if _, again := l.packet(10 * time.Second); !again {
		t.Error("no second packet, want one: nobody has acknowledged the first")
	}
}

// NAC-UDP-03, 07: long packets are compressed; what a client cannot read is not
// sent, and the others are.
func TestLarge(t *testing.T) {
	r := newRig(t, Settings{})
	java, golang := r.listen("127.0.0.1:0"), r.listen("127.0.0.1:0")
	r.api.Subscribe(java.request("s"))
	q := golang.request("s")
	q.Agent = goAgent
	r.api.Subscribe(q)
	java.until(0)
	golang.until(0)
	random := func(in *naming.Instance) {
		b := make([]byte, 400)
		_, _ = rand.Read(b)
		in.Metadata = registry.PairsOf(map[string]string{"noise": hex.EncodeToString(b)})
	}
	for i := range 3 {
		r.register("s", fmt.Sprintf("10.1.1.%d", i), random)
	}
	if p := java.until(3); !p.zip || p.size < compressed {
		t.Errorf("packet of %d bytes, compressed %t, want it compressed", p.size, p.zip)
	}
	golang.until(3)
	for i := range 20 {
		r.register("s", fmt.Sprintf("10.1.2.%d", i), random)
	}
	java.until(23)
	for {
		p, ok := golang.packet(300 * time.Millisecond)
		if !ok {
			break
		}
		if len(p.Hosts) == 23 {
			t.Errorf("the packet of 23 instances went to a client that reads 4024 bytes")
		}
	}
	if n := r.metric("udp_too_large_total"); n == 0 {
		t.Error("nothing is counted as too large")
	}
}

// NAC-UDP-02: who may not, gets nothing and leaves nothing behind.
func TestRefused(t *testing.T) {
	r := newRig(t, Settings{})
	l := r.listen("127.0.0.1:0")
	for name, edit := range map[string]func(*Request){
		"agent":       func(q *Request) { q.Agent = "curl/8" },
		"other host":  func(q *Request) { q.IP = "198.51.100.7" },
		"other peer":  func(q *Request) { q.Peer = "198.51.100.7" },
		"proxied":     func(q *Request) { q.Proxied = true },
		"no address":  func(q *Request) { q.IP = "localhost" },
		"no peer":     func(q *Request) { q.Peer = "@" },
		"long":        func(q *Request) { q.App = string(make([]byte, maxText+1)) },
		"port 0":      func(q *Request) { q.Port = 0 },
		"port -1":     func(q *Request) { q.Port = -1 },
		"port 65536+": func(q *Request) { q.Port += 65536 },
	} {
		q := l.request("s")
		edit(&q)
		r.api.Subscribe(q)
		if n := r.api.Count() + len(r.api.Clients()); n != 0 {
			t.Errorf("%s: subscribed", name)
		}
	}
	if n := r.metric("udp_refused_total"); n != 7 {
		t.Errorf("%v refused, want 7", n)
	}
	q := l.request("s")
	q.IP = "" // where the call came from
	r.api.Subscribe(q)
	l.until(0)
}

// The number of clients and of ways to see a service is bounded.
func TestBounds(t *testing.T) {
	r := newRig(t, Settings{})
	l := r.listen("127.0.0.1:0")
	for i := range maxViews + 1 {
		q := l.request("views")
		q.Port, q.Clusters = 20000+i, fmt.Sprintf("c%d", i)
		r.api.Subscribe(q)
	}
	if n := r.api.Count(); n != maxViews {
		t.Errorf("%d subscriptions, want %d", n, maxViews)
	}
	r.api.mu.Lock()
	for i := range maxClients {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 1)
		r.api.clients[a] = &client{address: a, seen: time.Now()}
	}
	r.api.mu.Unlock()
	r.api.Subscribe(l.request("more"))
	if n := len(r.api.Subscribers(key("more"))); n != 0 {
		t.Errorf("%d more, want none", n)
	}
}

// A server that ends forgets everybody; then nobody is noted, and nothing hangs.
func TestEnd(t *testing.T) {
	r := newRig(t, Settings{})
	l := r.listen("127.0.0.1:0")
	r.api.Subscribe(l.request("s"))
	l.until(0)
	r.stop()
	r.api.Subscribe(l.request("t"))
	if n := r.api.Count() + len(r.api.Clients()); n != 0 {
		t.Errorf("%d left, want none", n)
	}
	if _, err := r.socket.WriteTo([]byte("x"), l.LocalAddr().(*net.UDPAddr)); err == nil {
		t.Error("the socket is open")
	}
}
