package peer

import (
	"context"
	"net"
	"syscall"
	"time"
)

// unanswered is how long sent bytes may stay unacknowledged before the system
// gives a connection up. Without it a stalled one lives for a quarter of an
// hour.
const unanswered = 4 * time.Second

// tcpUserTimeout is TCP_USER_TIMEOUT.
const tcpUserTimeout = 0x12

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unanswered/time.Millisecond))
		})
		if err != nil {
			return err
		}
		return set
	}}
	return d.DialContext(ctx, "tcp", address)
}
