package mux

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a connection that has been looked at, and its other end.
func pair(t *testing.T) (*peeked, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return newPeeked(server), client
}

// A read ends at the deadline that was asked for last, whatever was asked for
// before.
func TestReadDeadline(t *testing.T) {
	for name, tt := range map[string]struct {
		asked []time.Duration // 0: none
		want  time.Duration   // 0: it goes on
	}{
		"one":             {[]time.Duration{5 * time.Second}, 5 * time.Second},
		"none":            {[]time.Duration{0}, 0},
		"taken off":       {[]time.Duration{5 * time.Second, 0}, 0},
		"later":           {[]time.Duration{5 * time.Second, time.Minute}, time.Minute},
		"earlier":         {[]time.Duration{time.Minute, 5 * time.Second}, 5 * time.Second},
		"off and later":   {[]time.Duration{5 * time.Second, 0, time.Minute}, time.Minute},
		"off and earlier": {[]time.Duration{time.Minute, 0, 5 * time.Second}, 5 * time.Second},
		"past":            {[]time.Duration{time.Minute, -time.Second}, -time.Second},
		"past, then not":  {[]time.Duration{-time.Second, time.Minute}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client := pair(t)
				begin := time.Now()
				for _, d := range tt.asked {
					var at time.Time
					if d != 0 {
						at = begin.Add(d)
					}
					if err := p.SetReadDeadline(at); err != nil {
						t.Fatal(err)
					}
				}
				defer time.AfterFunc(time.Hour, func() { _, _ = client.Write([]byte("x")) }).Stop()
				n, err := p.Read(make([]byte, 1))
				switch took := time.Since(begin); {
				case tt.want == 0 && (n != 1 || err != nil || took != time.Hour):
					t.Errorf("Read() = %d, %v after %s, want it to wait for the byte", n, err, took)
				case tt.want != 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took != max(0, tt.want)):
					t.Errorf("Read() = %d, %v after %s, want it to end after %s", n, err, took, tt.want)
				}
			})
		})
	}
}

// Servers end a read that is under way by a deadline in the past, and go on
// afterwards.
func TestReadAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client := pair(t)
		for range 3 {
			_ = p.SetReadDeadline(time.Now().Add(time.Second))
			_ = p.SetReadDeadline(time.Time{})
			ended := make(chan error)
			go func() {
				_, err := p.Read(make([]byte, 1))
				ended <- err
			}()
			time.Sleep(time.Minute) //nolint:forbidigo // the clock of the bubble
			synctest.Wait()
			select {
			case err := <-ended:
				t.Fatalf("Read() = %v, want it to wait", err)
			default:
			}
			_ = p.SetReadDeadline(time.Unix(1, 0))
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Read() = %v, want %v", err, os.ErrDeadlineExceeded)
			}
			_ = p.SetReadDeadline(time.Time{})
			go func() { _, _ = client.Write([]byte("x")) }()
			if n, err := p.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("Read() after the abort = %d, %v, want a byte", n, err)
			}
		}
	})
}

// BenchmarkReadDeadline is what a server of HTTP asks for with one request.
func BenchmarkReadDeadline(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for name, c := range map[string]net.Conn{"plain": c, "peeked": newPeeked(c)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				now := time.Now()
				_ = c.SetReadDeadline(now.Add(2 * time.Minute))
				_ = c.SetReadDeadline(time.Time{})
				_ = c.SetReadDeadline(now.Add(5 * time.Second))
				_ = c.SetReadDeadline(time.Time{})
			}
		})
	}
}
