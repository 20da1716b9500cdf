package group

import (
	"net"
	"strconv"
)

// reachable is how others may reach a listener. One that listens on every
// address of its machine is reached at the first that is not loopback, IPv4
// before IPv6 (NAD-CLU-04); without any, on this machine alone.
func reachable(at net.Addr, machine []net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || tcp.IP != nil && !tcp.IP.IsUnspecified() {
		return at.String()
	}
	host := net.IPv4(127, 0, 0, 1)
	for _, a := range machine {
		in, ok := a.(*net.IPNet)
		if !ok || !in.IP.IsGlobalUnicast() {
			continue
		}
		if in.IP.To4() != nil {
			host = in.IP
			break
		}
		if host.IsLoopback() {
			host = in.IP
		}
	}
	return net.JoinHostPort(host.String(), strconv.Itoa(tcp.Port))
}

// Reachable is an address as others may reach it: one that stands for every
// address of its machine is replaced, see reachable.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip := net.ParseIP(host)
	n, err := strconv.Atoi(port)
	if host != "" && (ip == nil || !ip.IsUnspecified()) || err != nil {
		return address
	}
	return reachable(&net.TCPAddr{Port: n}, machineAddrs())
}

// machineAddrs are the addresses of this machine; none known is none.
func machineAddrs() []net.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	return addrs
}
