package group

import (
	"net"
	"testing"
)

func ipNet(text string) net.Addr {
	ip, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return &net.IPNet{IP: ip, Mask: n.Mask}
}

// NAD-CLU-04: a member tells an address that others can reach.
func TestReachable(t *testing.T) {
	loopback, link := ipNet("127.0.0.1/8"), ipNet("fe80::1/64")
	four, six := ipNet("192.0.2.7/24"), ipNet("2001:db8::7/64")
	tests := map[string]struct {
		at      net.Addr
		machine []net.Addr
		want    string
	}{
		"one address":      {&net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 9849}, []net.Addr{four}, "192.0.2.9:9849"},
		"every address":    {&net.TCPAddr{IP: net.IPv6unspecified, Port: 9849}, []net.Addr{loopback, link, six, four}, "192.0.2.7:9849"},
		"every, IPv4":      {&net.TCPAddr{IP: net.IPv4zero, Port: 1}, []net.Addr{four, six}, "192.0.2.7:1"},
		"IPv6 alone":       {&net.TCPAddr{Port: 9849}, []net.Addr{loopback, six}, "[2001:db8::7]:9849"},
		"loopback alone":   {&net.TCPAddr{IP: net.IPv6unspecified, Port: 9849}, []net.Addr{loopback, link}, "127.0.0.1:9849"},
		"another network":  {&net.UnixAddr{Name: "socket", Net: "unix"}, []net.Addr{four}, "socket"},
		"loopback is kept": {&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}, []net.Addr{four}, "127.0.0.1:7"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := reachable(tt.at, tt.machine); got != tt.want {
				t.Errorf("reachable(%v) = %q, want %q", tt.at, got, tt.want)
			}
		})
	}
}

func TestReachableText(t *testing.T) {
	for _, kept := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "a.example:80", "no port", ""} {
		if got := Reachable(kept); got != kept {
			t.Errorf("Reachable(%q) = %q, want it as it is", kept, got)
		}
	}
	for _, every := range []string{":80", "0.0.0.0:80", "[::]:80"} {
		host, port, err := net.SplitHostPort(Reachable(every))
		if ip := net.ParseIP(host); err != nil || port != "80" || ip == nil || ip.IsUnspecified() {
			t.Errorf("Reachable(%q) = %q, want one address of this machine", every, Reachable(every))
		}
	}
}
