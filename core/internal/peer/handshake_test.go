package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// SEC-20 and ARC-R12: who may speak, and what others are told.
func TestGreeting(t *testing.T) {
	other := bytes.Repeat([]byte("o"), MinSecret)
	tests := map[string]struct {
		secret  []byte
		client  *self
		want    uint64
		refused string // empty: accepted
	}{
		"member":              {secret, someone(2, 9), 1, ""},
		"any member":          {secret, someone(2, 9), 0, ""},
		"fresh member":        {secret, someone(2, 0), 0, ""},
		"other secret":        {other, someone(2, 9), 1, "secrets of the two members differ"},
		"other cluster":       {secret, someone(2, 8), 1, "it is of cluster 0000000000000009, this member of 0000000000000008"},
		"other member":        {secret, someone(2, 9), 3, "member 0000000000000001 answers there, not 0000000000000003"},
		"no id":               {secret, someone(0, 9), 1, "secrets of the two members differ"},
		"secret of our start": {append(bytes.Clone(secret), 'x'), someone(2, 9), 1, "secrets of the two members differ"},
	}
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, _ := pool(t, tt.client, func(o *PoolOptions) { o.Secret = tt.secret })
			var why error
			conn, err := p.client(e.addr, tt.want, func(err error) { why = err }, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r, err := peerv1.NewPeerClient(conn).Describe(within(t), &peerv1.DescribeRequest{})
			if tt.refused == "" {
				if err != nil || r.GetMember() != 1 || r.GetCluster() != 9 {
					t.Errorf("Describe() = %v, %v, want member 1 of cluster 9", r, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("Describe() = %v (%v), want %q", err, why, tt.refused)
			}
		})
	}
}

func TestShortSecret(t *testing.T) {
	if _, err := NewPool(PoolOptions{Secret: make([]byte, MinSecret-1), Self: someone(1, 1)}); err == nil || !strings.Contains(err.Error(), "at least 32 bytes, got 31") {
		t.Errorf("NewPool() = %v, want a refusal", err)
	}
	if _, err := NewServer(ServerOptions{Secret: nil, Self: someone(1, 1)}); err == nil {
		t.Error("NewServer() without a secret = nil error")
	}
}

// sessions returns the two ends of one TLS connection.
func sessions(t *testing.T) (client, server *tls.Conn) {
	t.Helper()
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	client, server = tls.Client(a, clientTLS(nil, cert)), tls.Server(b, serverTLS(nil, cert))
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return client, server
}

// A greeting that was heard on one connection proves nothing on another, nor in
// the other direction: who sits between two members gets nowhere.
func TestGreetingBound(t *testing.T) {
	h, err := newHandshaker(secret)
	if err != nil {
		t.Fatal(err)
	}
	client, server := sessions(t)
	s, err := session(client)
	if err != nil {
		t.Fatal(err)
	}
	heard := h.encode(greeting{cluster: 9, from: 2, to: 1}, roleClient, s)
	if _, proven, err := h.decode(bytes.NewReader(heard), roleServer, s); proven || err != nil {
		t.Errorf("decode() of the client's own greeting = %v, %v, want not proven", proven, err)
	}
	other, _ := sessions(t)
	s2, err := session(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, proven, err := h.decode(bytes.NewReader(heard), roleClient, s2); proven || err != nil {
		t.Errorf("decode() on another session = %v, %v, want not proven", proven, err)
	}
	for i := range greetingBody {
		b := bytes.Clone(heard)
		b[i] ^= 1
		if _, proven, err := h.decode(bytes.NewReader(b), roleClient, s); proven && err == nil {
			t.Errorf("decode() with byte %d changed: proven", i)
		}
	}
	go func() { _, _ = client.Write(heard) }()
	go func() { _, _ = io.CopyN(io.Discard, client, greetingSize) }()
	if g, err := h.receive(server, someone(1, 9)); err != nil || g.from != 2 || g.cluster != 9 {
		t.Errorf("receive() = %+v, %v, want member 2 of cluster 9", g, err)
	}
}

// Whoever has no secret is told nothing, and what is no member is cut off.
func TestStrangers(t *testing.T) {
	e := listen(t, someone(1, 9), ServerOptions{}, 2)
	conn, err := grpc.NewClient(e.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := peerv1.NewPeerClient(conn).Describe(ctx, &peerv1.DescribeRequest{}); err == nil {
		t.Error("Describe() in plaintext = nil error")
	}
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&tls.Dialer{Config: clientTLS(nil, cert)}).DialContext(within(t), "tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Write(make([]byte, greetingSize)); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(raw); len(b) != 0 || err == nil && len(b) > 0 {
		t.Errorf("a stranger was told %d bytes, %v", len(b), err)
	}
}

// Both ends must trust the certificate, when there is one, and know the secret.
func TestMutualTLS(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	e := listen(t, someone(1, 9), ServerOptions{TLS: ours}, 2)
	for name, tt := range map[string]struct {
		config *tls.Config
		secret []byte
		ok     bool
	}{
		"trusted":              {ours, secret, true},
		"of another authority": {theirs, secret, false},
		"none":                 {nil, secret, false},
		"other secret":         {ours, bytes.Repeat([]byte("o"), MinSecret), false},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := pool(t, someone(2, 9), func(o *PoolOptions) { o.TLS, o.Secret = tt.config, tt.secret })
			if _, err := p.Describe(within(t), e.addr, &peerv1.DescribeRequest{}); (err == nil) != tt.ok {
				t.Errorf("Describe() = %v, want success %v", err, tt.ok)
			}
		})
	}
}

// A connection that says nothing is closed.
func TestSilentConnection(t *testing.T) {
	t.Parallel() // it waits
	e := listen(t, someone(1, 9), ServerOptions{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(2 * handshakeTimeout)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > handshakeTimeout+3*time.Second {
		t.Errorf("Read() = %v after %v, want the end of the connection after %v", err, time.Since(begin), handshakeTimeout)
	}
}

func FuzzGreeting(f *testing.F) {
	h, err := newHandshaker(secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(h.encode(greeting{cluster: 1, from: 2, to: 3}, roleClient, []byte("session")))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, proven, err := h.decode(bytes.NewReader(b), roleClient, []byte("session"))
		if err == nil && proven && !bytes.Equal(h.encode(g, roleClient, []byte("session")), b[:greetingSize]) {
			t.Errorf("decode(%x) proves %+v, which is written otherwise", b, g)
		}
	})
}
