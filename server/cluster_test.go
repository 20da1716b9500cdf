package server

import (
	"context"
	"crypto/ecdsa"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// ports finds main ports whose ports for members are free too.
func ports(t *testing.T, n int) (out []int) {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port+peerOffset > 65535 {
			continue
		}
		above, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+peerOffset)))
		if err != nil {
			continue
		}
		_ = above.Close()
		if out = append(out, port); len(out) == n {
			return out
		}
	}
	t.Fatal("no free pairs of ports")
	return nil
}

// settings are what an operator gives each of three members on one machine.
func settings(port int, dir, list string) []string {
	return []string{
		"nacos.standalone=false", "cluster.secret=" + strings.Repeat("s", 40), "nacos.member.list=" + list,
		"nacos.server.main.port=" + strconv.Itoa(port), "server.bind=127.0.0.1", "server.drain=0s",
		"durability=os", "cluster.raft.heartbeat=30ms", "data_dir=" + dir,
	}
}

func configured(t *testing.T, sets []string) Config {
	t.Helper()
	v, err := conf.Load(conf.Source{Dir: t.TempDir(), Flags: sets})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	c, err := configOf(t.Context(), v, zap.NewNop())
	if err != nil {
		t.Fatalf("configOf() = %v", err)
	}
	c.Confined = ""
	return c
}

// Three servers that are started with one list are one cluster; the command line
// shows and changes it through any of them.
func TestCluster(t *testing.T) {
	ps := ports(t, 3)
	list := fmt.Sprintf("127.0.0.1:%d,localhost:%d,127.0.0.1:%d", ps[0], ps[1], ps[2])
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dirs := make([]string, 3)
	type started struct {
		i   int
		s   *Server
		err error
	}
	ends := make(chan started, 3)
	begin := func(i int) {
		c := configured(t, settings(ps[i], dirs[i], list))
		go func() {
			s, err := Start(ctx, c, &fake{})
			ends <- started{i, s, err}
		}()
	}
	servers := make([]*Server, 3)
	await := func(n int) {
		t.Helper()
		for range n {
			e := <-ends
			if e.err != nil {
				t.Fatalf("Start() of %d = %v", e.i, e.err)
			}
			servers[e.i] = e.s
			t.Cleanup(func() { _ = e.s.Close() })
		}
	}
	for i := range 2 {
		dirs[i] = t.TempDir()
		begin(i)
	}
	dirs[2] = t.TempDir()
	until(t, "it says for whom it waits", func() error {
		l, err := admin.ListMembers(ctx, dirs[0])
		if err == nil && !strings.Contains(l.Waits, fmt.Sprintf("no answer from 127.0.0.1:%d", ps[2]+peerOffset)) {
			err = fmt.Errorf("it waits: %q", l.Waits)
		}
		return err
	})
	if err := admin.Add(ctx, dirs[0], "x:1"); err == nil || !strings.Contains(err.Error(), "is starting") {
		t.Errorf("Add() before there is a cluster = %v, want that it is starting", err)
	}
	begin(2)
	await(3)
	var l admin.List
	until(t, "three vote and are up", func() (err error) {
		if l, err = admin.ListMembers(ctx, dirs[1]); err != nil {
			return err
		}
		up := 0
		for _, m := range l.Members {
			if m.State == "up" && m.Role != "learner" && m.Main != "" && m.Version == version {
				up++
			}
		}
		if up != 3 {
			return fmt.Errorf("members: %+v", l.Members)
		}
		return nil
	})
	for _, m := range l.Members {
		if m.Self && m.Peer != fmt.Sprintf("localhost:%d", ps[1]+peerOffset) {
			t.Errorf("address of a member = %s, want the one of the list", m.Peer)
		}
	}
	if err := admin.Form(ctx, dirs[0]); err == nil {
		t.Error("Form() in a cluster = nil error")
	}
	var next string
	for _, m := range l.Members {
		if m.Role != "leader" {
			next = m.Main
		}
	}
	until(t, "it is handed over", func() error { return admin.Transfer(ctx, dirs[0], next) }) // an election may come between
	if err := admin.Transfer(ctx, dirs[0], "nobody"); err == nil || !strings.Contains(err.Error(), "no member is called") {
		t.Errorf("Transfer(nobody) = %v", err)
	}
	until(t, "it leads", func() error {
		l, err := admin.ListMembers(ctx, dirs[2])
		for _, m := range l.Members {
			if m.Main == next && m.Role == "leader" {
				return nil
			}
		}
		return fmt.Errorf("members: %+v, %w", l.Members, err)
	})
	if code, body := get(t, "http://"+servers[0].main()+"/metrics"); code != 200 ||
		!strings.Contains(body, "batata_cluster_member_count 3") || !strings.Contains(body, "batata_cluster_peer_breaker_state{member=") {
		t.Errorf("GET /metrics = %d, want the members in it", code)
	}
	// One that is removed ends by itself; with an empty disk it comes back. An
	// election that comes between takes nothing back: the operator asks again.
	gone := fmt.Sprintf("127.0.0.1:%d", ps[2])
	until(t, "the member is removed", func() error {
		if l, err := admin.ListMembers(ctx, dirs[0]); err == nil && len(l.Members) == 2 {
			return nil
		}
		return admin.Remove(ctx, dirs[0], gone)
	})
	if err := servers[2].Wait(ctx); err == nil || !strings.Contains(err.Error(), "was removed from the cluster") {
		t.Errorf("Wait() of the removed member = %v, want the reason", err)
	}
	if err := servers[2].Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	dirs[2] = t.TempDir()
	begin(2)
	await(1)
	until(t, "three again", func() error {
		if l, err := admin.ListMembers(ctx, dirs[2]); err != nil || len(l.Members) != 3 {
			return fmt.Errorf("members: %+v, %w", l.Members, err)
		}
		return nil
	})
}

func until(t *testing.T, what string, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s: %v", what, err)
		}
	}
}

// What is missing or wrong is said by the key that changes it.
func TestClusterConfig(t *testing.T) {
	dir := t.TempDir()
	good := settings(8848, dir, "a,b")
	tests := map[string]struct {
		sets []string
		err  string
		peer string
	}{
		"good":             {good, "", "127.0.0.1:9849"},
		"other port":       {append(good, "cluster.port=9000"), "", "127.0.0.1:9000"},
		"no secret":        {append(good, "cluster.secret="), "set cluster.secret", ""},
		"no fixed port":    {append(good, "nacos.server.main.port=0"), "nacos.server.main.port", ""},
		"bad list":         {append(good, "nacos.member.list=a:x"), "nacos.member.list", ""},
		"half of tls":      {append(good, "cluster.tls.cert_file=x"), "belong together", ""},
		"no certificate":   {append(good, "cluster.tls.cert_file=x", "cluster.tls.key_file=x", "cluster.tls.ca_file=x"), "cluster.tls", ""},
		"alone":            {append(good, "nacos.standalone=true"), "", ""},
		"kept for no time": {append(good, "nacos.naming.client.expired.time=0"), "nacos.naming.client.expired.time: must be positive", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := conf.Load(conf.Source{Dir: dir, Flags: tt.sets})
			if err != nil {
				t.Fatalf("Load() = %v", err)
			}
			c, err := configOf(t.Context(), v, zap.NewNop())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("configOf() = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || c.Core.Peer.Listen != tt.peer {
				t.Errorf("configOf() = %q, %v, want %q", c.Core.Peer.Listen, err, tt.peer)
			}
		})
	}
	c := configured(t, append(good, "cluster.port=9000", "cluster.advertise=here"))
	if c.Core.Registry.StaleAfter != 30*time.Second { // ARC-A07
		t.Errorf("StaleAfter = %v, want 30s", c.Core.Registry.StaleAfter)
	}
	if c.Core.Peer.Advertise != "here:9000" || strings.Join(c.Core.Peer.Members, " ") != "a:9000 b:9000" {
		t.Errorf("peer = %+v", c.Core.Peer)
	}
	if peer, err := c.Cluster.Peer("x:10"); err != nil || peer != "x:162" {
		t.Errorf("Peer() = %q, %v, want x:162", peer, err)
	}
	if _, err := c.Cluster.Peer("a b"); err == nil {
		t.Error("Peer() of two = nil error")
	}
}

// PRD-05: a member that would serve nobody does not start.
func TestClusterProtected(t *testing.T) {
	if got := confined(true); got == "" {
		t.Error("confined() of a member of a cluster is empty")
	}
}

func TestPeerTLS(t *testing.T) {
	files, _ := certificate(t)
	v, err := conf.Load(conf.Source{Dir: t.TempDir(), Flags: []string{
		"cluster.tls.cert_file=" + files.CertFile, "cluster.tls.key_file=" + files.KeyFile, "cluster.tls.ca_file=" + files.CertFile,
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := peerTLS(v)
	if err != nil || len(c.Certificates) != 1 || c.RootCAs == nil || c.ClientCAs == nil {
		t.Fatalf("peerTLS() = %+v, %v", c, err)
	}
	if _, ok := c.Certificates[0].PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("key = %T", c.Certificates[0].PrivateKey)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := errors.Join(os.WriteFile(empty, pem.EncodeToMemory(&pem.Block{Type: "X"}), 0o600)); err != nil {
		t.Fatal(err)
	}
	v, err = conf.Load(conf.Source{Dir: t.TempDir(), Flags: []string{
		"cluster.tls.cert_file=" + files.CertFile, "cluster.tls.key_file=" + files.KeyFile, "cluster.tls.ca_file=" + empty,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peerTLS(v); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("peerTLS() with an empty file = %v", err)
	}
}
