package udppush

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// NAC-UDP-02, 07: who takes packets, and how large ones.
func TestAgents(t *testing.T) {
	for agent, want := range map[string]int{
		"Nacos-Java-Client:v1.4.8":                maxDatagram,
		"Nacos-Java-Client:v0.1.0":                maxDatagram,
		"Nacos-Java-Client:v0.0.9":                0,
		"Nacos-Java-Client:v2":                    maxDatagram,
		"Nacos-Java-Client:v1.4.2-x":              maxDatagram,
		"Nacos-Go-Client:v1.0.1":                  4024,
		"Nacos-DNS:v0.4.3":                        maxDatagram,
		"Nacos-DNS:v0.4.2":                        0,
		"Nacos-C-Client:v1.0.12":                  maxDatagram,
		"Nacos-C-Client:v1.0.11":                  0,
		"vip-client4cpp:v1.1":                     maxDatagram,
		"Nacos-CSharp-Client:v0.9.0":              maxDatagram,
		"Nacos-CSharp-Client:v0.8.9":              0,
		"Nacos-Python-Client:v1.0.0":              0,
		"Nacos-Java-Client":                       0,
		"Nacos-Java-Client:v":                     0,
		"Nacos-Java-Client:v99999999999999999999": 0,
		"curl/8": 0,
		"":       0,
		"Nacos-Java-Client:v1.0.0" + strings.Repeat("x", maxAgent): 0,
	} {
		if got := roomOf(agent); got != want {
			t.Errorf("roomOf(%q) = %d, want %d", agent, got, want)
		}
	}
}

// outer is an address of this machine that is no loopback.
func outer(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range addrs {
		p, err := netip.ParsePrefix(x.String())
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr()
		}
	}
	t.Skip("this machine has no IPv4 address but loopback")
	return netip.Addr{}
}

// Nobody makes the server send to somebody else.
func TestPlaces(t *testing.T) {
	own, loop, six := outer(t), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	far, other := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	var p places
	for _, tt := range []struct {
		peer, claimed netip.Addr
		proxied, want bool
	}{
		{loop, loop, false, true},
		{loop, own, false, true},
		{own, loop, false, true},
		{six, own, false, true},
		{far, far, false, true},
		{far, other, false, false},
		{far, loop, false, false},
		{far, own, false, false},
		{loop, far, false, false},
		{own, far, false, false},
		{loop, netip.MustParseAddr("0.0.0.0"), false, false},
		{loop, netip.MustParseAddr("255.255.255.255"), false, false},
		{loop, loop, true, false},
		{loop, own, true, false},
		{far, far, true, false},
	} {
		if got := p.allows(tt.peer, tt.claimed, tt.proxied); got != tt.want {
			t.Errorf("allows(%v, %v, proxied %t) = %t, want %t", tt.peer, tt.claimed, tt.proxied, got, tt.want)
		}
	}
}
