package cluster

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
	"github.com/easynet-cn/batata/e2e/cluster/members"
)

// many is how many clients reconnect at once, or as many as files may be open.
const many = 10_000

// REL-14: ten thousand clients of the SDK protocol, each with an instance, lose
// their member, which was killed, and come back as fast as this machine can, to the
// same one; before, while and after that a client of another member publishes. Idle
// connections by the hundred, and slow heads, keep nobody out.
func TestReconnect(t *testing.T) {
	onlyLong(t)
	n := clientsAllowed(t)
	c := members.Run(t, members.Options{Seed: seedOf(t)})
	victim := c.Followers()[0]
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Nodes[victim].Port+1000))
	quiet := healthy(t, c, (victim+1)%3, time.Second)
	before, first := join(t, addr, n)
	t.Logf("%d clients: all there after %v", n, first.Round(time.Millisecond))
	c.Nodes[victim].Kill()
	before.Close()
	c.Start(victim)
	idle(t, addr, 500)
	done := make(chan time.Duration, 1)
	go func() { done <- healthy(t, c, (victim+1)%3, 3*time.Second) }()
	_, again := join(t, addr, n)
	busy := <-done
	t.Logf("%d clients: all back after %v (%.0f/s); a healthy client published in p99 %v before, %v meanwhile",
		n, again.Round(time.Millisecond), float64(n)/again.Seconds(), quiet.Round(time.Millisecond), busy.Round(time.Millisecond))
	if busy > 2*quiet+500*time.Millisecond { // the driver has the same two cores
		t.Errorf("p99 of a healthy client = %v while others came back, %v before", busy, quiet)
	}
}

// clientsAllowed raises the limit of open files and returns how many clients fit.
func clientsAllowed(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	return min(many, int(l.Cur)*7/10-1000)
}

// join opens clients until all are ready; they end with the swarm that is returned,
// or with the test.
func join(t *testing.T, addr string, n int) (*swarm.Swarm, time.Duration) {
	t.Helper()
	var ready, lost atomic.Int64
	var why atomic.Value
	s, err := swarm.New(n, swarm.Handler{
		Ready: func(*swarm.Client) { ready.Add(1) },
		Lost:  func(_ *swarm.Client, err error) { lost.Add(1); why.Store(err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	begin := time.Now()
	d := swarm.NewDialer(swarm.Plan{Addr: addr, Module: "naming"})
	for i := range n {
		body := fmt.Appendf(nil, `{"namespace":"","serviceName":"crowd-%d","groupName":"DEFAULT_GROUP","type":"registerInstance","instance":{"ip":"10.%d.%d.%d","port":80,"weight":1,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"crowd-%d","metadata":{}}}`,
			i%100, i>>16, i>>8&255, i&255, i%100)
		if _, err := s.Dial(d, [][]byte{swarm.Payload("InstanceRequest", body)}); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	members.Within(t, 2*time.Minute, "all clients are there", func() error {
		if ready.Load() < int64(n) {
			return fmt.Errorf("%d of %d, %d lost: %v", ready.Load(), n, lost.Load(), why.Load())
		}
		return nil
	})
	return s, time.Since(begin)
}

// idle opens connections that say nothing, or begin a head and do not end it.
func idle(t *testing.T, addr string, n int) {
	t.Helper()
	for i := range n {
		conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%2 == 0 {
			_, _ = conn.Write([]byte("POST /nacos/v1/cs/configs HTTP/1.1\r\nHost: x\r\nX-Slow: "))
		}
	}
}

// healthy is the p99 of publishes through a member for a while.
func healthy(t *testing.T, c *members.Cluster, i int, length time.Duration) time.Duration {
	t.Helper()
	w := newWeb()
	defer w.close()
	var took []time.Duration
	for end := time.Now().Add(length); time.Now().Before(end); {
		begin := time.Now()
		if err := w.publish(t.Context(), c.Nodes[i].URL(), "healthy", begin.String(), ""); err != nil {
			t.Errorf("publish of a healthy client = %v", err)
			break
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}
