package netfault

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bySource takes the last byte of the address for the member.
func bySource(socket, _ netip.AddrPort) (int, bool) {
	return int(socket.Addr().As4()[3]) - 1, true
}

// world is two members: 1 echoes lines, and 0 is the test.
type world struct {
	net   *Net
	front string
}

func newWorld(t *testing.T, owner Owner) *world {
	t.Helper()
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := back.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	n := New(2, 1, owner)
	front, err := net.Listen("tcp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{n, front.Addr().String()}
	_ = front.Close()
	if err := n.Listen(1, w.front, back.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(); _ = back.Close(); <-done })
	return w
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// dial connects as member 0.
func (w *world) dial(t *testing.T) conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	c, err := d.Dial("tcp", w.front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return conn{c, bufio.NewReader(c)}
}

func (c conn) echo(t *testing.T, line string, wait time.Duration) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return 0, err
	}
	_ = c.SetReadDeadline(begin.Add(wait))
	got, err := c.in.ReadString('\n')
	if err == nil && got != line+"\n" {
		t.Errorf("echo of %q = %q", line, got)
	}
	return time.Since(begin), err
}

// Bytes wait on a link that is cut, in whichever direction, and come when it is
// mended.
func TestCut(t *testing.T) {
	for _, dir := range [][2]int{{0, 1}, {1, 0}} {
		w := newWorld(t, bySource)
		c := w.dial(t)
		if _, err := c.echo(t, "a", time.Second); err != nil {
			t.Fatalf("whole: %v", err)
		}
		w.net.Set(dir[0], dir[1], Link{Cut: true})
		if _, err := c.echo(t, "b", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v cut: echo = %v, want a wait", dir, err)
		}
		late := w.dial(t)
		if _, err := late.echo(t, "new", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v cut: echo on a new connection = %v, want a wait", dir, err)
		}
		w.net.Heal()
		for _, x := range []conn{c, late} {
			_ = x.SetReadDeadline(time.Now().Add(5 * time.Second))
			if got, err := x.in.ReadString('\n'); err != nil {
				t.Errorf("%v mended: read %q, %v", dir, got, err)
			}
		}
	}
}

func TestRefuse(t *testing.T) {
	w := newWorld(t, bySource)
	c := w.dial(t)
	if _, err := c.echo(t, "a", time.Second); err != nil {
		t.Fatal(err)
	}
	w.net.Isolate(1, Link{Refuse: true})
	for _, x := range []conn{c, w.dial(t)} {
		if _, err := x.echo(t, "b", 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("echo = %v, want the connection closed", err)
		}
	}
}

// A delay adds to the time of a round and does not narrow the link; lost pieces
// come later, in order.
func TestDelayAndLoss(t *testing.T) {
	w := newWorld(t, bySource)
	c := w.dial(t)
	w.net.Between(0, 1, Link{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	for range 3 {
		if took, err := c.echo(t, "a", 5*time.Second); err != nil || took < 60*time.Millisecond {
			t.Errorf("echo took %v, %v, want 2 × (50 ± 20) ms", took, err)
		}
	}
	w.net.Between(0, 1, Link{Drop: 0.5})
	for range 20 {
		if _, err := c.echo(t, "b", 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if w.net.Lost() > 0 {
			return
		}
	}
	t.Error("nothing was lost in 40 pieces")
}

// A process is found by its socket.
func TestProcesses(t *testing.T) {
	var seen []int
	owner := Processes(func() []int { return []int{1, os.Getpid()} })
	w := newWorld(t, func(socket, proxy netip.AddrPort) (int, bool) {
		i, ok := owner(socket, proxy)
		seen = append(seen, i)
		return i, ok
	})
	if _, err := w.dial(t).echo(t, "a", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []int{1}) {
		t.Errorf("owners = %v, want this process", seen)
	}
}
