package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// trioSize is how many members a cluster has.
const trioSize = 3

// etcdTrio is the kind of the ceiling E3.
const etcdTrio = "etcd3"

// member is one process of a cluster, and how it is started again.
type member struct {
	*target
	id     int
	launch func() (*process, error)
	writer writer // how the failover writes through it
	leads  func() bool
	serves func() bool // whether it is back in the cluster
}

// start starts the process, again on the data that it has.
func (m *member) start() (err error) {
	m.proc, err = m.launch()
	return err
}

// upTrios starts three members of ours and three of etcd, each on an empty
// directory.
func (s *setup) upTrios() error {
	s.down()
	s.stages++
	dir := filepath.Join(s.dir, fmt.Sprintf("stage-%d", s.stages))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	ours, err := s.newServers(dir)
	if err != nil {
		return err
	}
	s.servers = []*target{ours}
	etcd, err := newEtcds(dir)
	if err != nil {
		return err
	}
	s.ceilings = map[string]*target{etcdTrio: etcd}
	for _, t := range []*target{ours, etcd} {
		for _, m := range t.members {
			if err := m.start(); err != nil {
				return err
			}
		}
		if err := t.whole(s.ctx); err != nil {
			return fmt.Errorf("start three of %s (logs in %s): %w", t.name, dir, err)
		}
	}
	return nil
}

// whole waits until all members serve and know a leader.
func (t *target) whole(ctx context.Context) error {
	for _, m := range t.members {
		if _, err := until(ctx, 60*time.Second, m.serves); err != nil {
			return fmt.Errorf("member %d: %w", m.id, err)
		}
	}
	_, err := t.leader(ctx)
	return err
}

// leader is the member that leads.
func (t *target) leader(ctx context.Context) (found *member, err error) {
	_, err = until(ctx, 30*time.Second, func() bool {
		for _, m := range t.members {
			if m.leads() {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("no member of %s leads: %w", t.name, err)
	}
	return found, nil
}

// newServers are three members of the binary; they are not started yet.
func (s *setup) newServers(dir string) (*target, error) {
	ports, err := freeMains(trioSize)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = fmt.Sprintf("127.0.0.1:%d", p)
	}
	t := &target{name: ourName}
	for i, p := range ports {
		m := &member{target: &target{name: ourName, url: "http://" + list[i]}, id: i + 1}
		data := filepath.Join(dir, fmt.Sprintf("%s-%d", ourName, i+1))
		if err := os.Mkdir(data, 0o700); err != nil {
			return nil, err
		}
		m.launch = func() (*process, error) {
			return start(dir, nil, s.o.server, "server", "--data-dir", data, "--set", fmt.Sprintf("nacos.server.main.port=%d", p),
				"--set", "server.bind=127.0.0.1", "--set", "log.level=warn", "--set", "server.drain=0s", "--set", "nacos.standalone=false",
				"--set", "nacos.member.list="+strings.Join(list, ","), "--set", "cluster.secret="+strings.Repeat("measured", 5))
		}
		m.leads = func() bool { return strings.Contains(m.metrics(), "\nbatata_core_leader 1") }
		m.serves = func() bool { return m.ready() && votes(s.ctx, s.o.server, data) == trioSize }
		m.writer = configWriter{s, m}
		t.members = append(t.members, m)
	}
	return t, nil
}

// votes is how many members are up and have a vote, as one of them says.
func votes(ctx context.Context, binary, data string) (n int) {
	out, err := exec.CommandContext(ctx, binary, "cluster", "list", "--data-dir", data).Output()
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, " up ") && (strings.Contains(line, " voter ") || strings.Contains(line, " leader ")) {
			n++
		}
	}
	return n
}

// newEtcds are three members of etcd.
func newEtcds(dir string) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	t := &target{name: etcdTrio}
	var list, names []string
	for i := range trioSize {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("m%d", i+1))
		list = append(list, fmt.Sprintf("%s=http://127.0.0.1:%d", names[i], port))
	}
	for i, name := range names {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		m := &member{target: &target{name: etcdTrio, url: "http://" + addr}, id: i + 1}
		data := filepath.Join(dir, "etcd-"+name)
		m.launch = func() (*process, error) {
			return start(dir, nil, self, "-ceiling", "etcd", "-addr", addr, "-dir", data, "-name", name, "-cluster", strings.Join(list, ","))
		}
		m.leads = func() bool { self, leader := etcdStatus(addr); return self != 0 && self == leader }
		m.serves = func() bool { _, leader := etcdStatus(addr); return leader != 0 }
		m.writer = putWriter{m}
		t.members = append(t.members, m)
	}
	return t, nil
}

// etcdStatus is who a member of etcd is and who leads it; 0: it does not know, or
// does not answer.
func etcdStatus(addr string) (self, leader uint64) {
	if !accepts(addr) {
		return 0, 0
	}
	c, err := dialGRPC(addr, "/etcdserverpb.Maintenance/Status", nil)
	if err != nil {
		return 0, 0
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	b, err := c.ask(ctx, nil)
	if err != nil {
		return 0, 0
	}
	header, _ := protoField(b, 1)
	_, self = protoField(header, 2)
	_, leader = protoField(b, 4)
	return self, leader
}

// protoField is the first field of a number in an encoded message, its bytes or
// its value.
func protoField(b []byte, number protowire.Number) ([]byte, uint64) {
	for len(b) > 0 {
		n, kind, used := protowire.ConsumeTag(b)
		if used < 0 {
			return nil, 0
		}
		b = b[used:]
		size := protowire.ConsumeFieldValue(n, kind, b)
		switch {
		case size < 0:
			return nil, 0
		case n == number && kind == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(b)
			return v, 0
		case n == number && kind == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			return nil, v
		}
		b = b[size:]
	}
	return nil, 0
}

// freeMains finds main ports of members: those 1000 and 1001 above are theirs too.
func freeMains(n int) (out []int, err error) {
	for range 1000 {
		p, err := freePort()
		if err != nil {
			return nil, err
		}
		if !free(p+1000) || !free(p+1001) {
			continue
		}
		if out = append(out, p); len(out) == n {
			return out, nil
		}
	}
	return nil, errors.New("no free ports for members")
}

func free(port int) bool {
	if port > 65535 {
		return false
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// peers of one etcd member, by its name and the list of all.
func etcdPeer(name, cluster string) (*url.URL, error) {
	for part := range strings.SplitSeq(cluster, ",") {
		if n, u, ok := strings.Cut(part, "="); ok && n == name {
			return url.Parse(u)
		}
	}
	return nil, fmt.Errorf("no member %q in %q", name, cluster)
}

// end sends a signal and waits until the process is gone.
func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	_ = p.cmd.Wait()
}
