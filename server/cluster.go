package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/conf"
	"github.com/easynet-cn/batata/server/internal/lookup"
)

// peerOffset is what the port for members lies above the main port (PRD-02).
const peerOffset = 1001

// Cluster is what a server that is one of several needs beside Config.Core.Peer.
type Cluster struct {
	// Follow, when not nil, tells of changed lists of members until ctx ends.
	Follow func(ctx context.Context, changed func(peers []string))
	// Peer is the peer address of the member with a main address; nil: the same.
	Peer func(main string) (string, error)
}

// clusterOf translates what the operator says of other members.
func clusterOf(ctx context.Context, v *conf.Values, logger *zap.Logger) (core.Peer, Cluster, error) {
	kind, clustered, err := v.Clustered()
	if err != nil || !clustered {
		return core.Peer{}, Cluster{}, err
	}
	secret, err := v.ClusterSecret()
	if err != nil {
		return core.Peer{}, Cluster{}, err
	}
	certs, err := peerTLS(v)
	if err != nil {
		return core.Peer{}, Cluster{}, err
	}
	main := v.Int("nacos.server.main.port")
	if main == 0 {
		return core.Peer{}, Cluster{}, errors.New("nacos.server.main.port: a member of a cluster needs a fixed port")
	}
	port := v.Int("cluster.port")
	if port == 0 {
		port = main + peerOffset
	}
	source := sourceOf(v, kind, main, port-main, logger)
	members, err := source.Members(ctx)
	if err != nil {
		return core.Peer{}, Cluster{}, err
	}
	p := core.Peer{
		Listen: net.JoinHostPort(v.Text("server.bind"), strconv.Itoa(port)), Members: members, Secret: secret, TLS: certs,
		Version: version, Tick: v.Duration("cluster.raft.heartbeat"), ReplaceAfter: v.Duration("cluster.replace_after"),
		Forming: new(core.Forming),
	}
	if host := v.Text("cluster.advertise"); host != "" {
		p.Advertise = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return p, Cluster{
		Follow: func(ctx context.Context, changed func([]string)) { source.Watch(ctx, members, changed) },
		Peer: func(address string) (string, error) {
			list, err := lookup.Parse(address, main)
			if err != nil || len(list) != 1 {
				return "", errors.Join(fmt.Errorf("%q is not host:main-port", address), err)
			}
			return lookup.Shift(list[0], port-main)
		},
	}, nil
}

func sourceOf(v *conf.Values, kind string, main, offset int, logger *zap.Logger) *lookup.Source {
	s := &lookup.Source{MainPort: main, Offset: offset, Logger: logger.Named("members")}
	switch kind {
	case conf.LookupFile:
		s.File = v.Text("cluster.member.file")
	case conf.LookupAddressServer:
		s.URL = "http://" + net.JoinHostPort(v.Text("cluster.member.address-server.domain"),
			strconv.Itoa(v.Int("cluster.member.address-server.port"))) + v.Text("cluster.member.address-server.url")
		s.Retry = v.Int("cluster.member.address-server.retry")
	default:
		s.List = v.Text("nacos.member.list")
	}
	return s
}

// peerTLS reads the certificates of members; nil when there are none.
func peerTLS(v *conf.Values) (*tls.Config, error) {
	cert, key, ca := v.Text("cluster.tls.cert_file"), v.Text("cluster.tls.key_file"), v.Text("cluster.tls.ca_file")
	switch {
	case cert == "" && key == "" && ca == "":
		return nil, nil
	case cert == "" || key == "" || ca == "":
		return nil, errors.New("cluster.tls: cert_file, key_file and ca_file belong together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls: %w", err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cluster.tls.ca_file: %s holds no certificate", ca)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool}, nil
}

// join tells the others where clients reach this member, and follows the list of
// members.
func (s *Server) join(c Cluster) {
	main := s.host.Addr("", plugin.Main).String()
	if host, _, err := net.SplitHostPort(s.node.PeerAddress()); err == nil { // by the name that members know
		if _, port, err := net.SplitHostPort(main); err == nil {
			main = net.JoinHostPort(host, port)
		}
	}
	s.node.Announce(map[string]string{plugin.Main: main}, nil)
	if c.Follow == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.workers.Go(func() { c.Follow(ctx, s.node.SetMembers) })
}

// leave lets another member lead before this one stops.
func (s *Server) leave(ctx context.Context) {
	if s.end != nil {
		s.end()
	}
	s.workers.Wait()
	if s.node == nil || s.node.PeerAddress() == "" {
		return
	}
	begin := time.Now()
	err := s.node.HandOver(ctx)
	fields := []zap.Field{zap.String("step", "hand over leadership"), zap.Duration("elapsed", time.Since(begin))}
	if err != nil {
		s.logger.Warn("stop step failed", append(fields, zap.Error(err))...)
		return
	}
	s.logger.Info("stop step", fields...)
}

// operator is the server behind the admin socket, which may still be starting.
type operator struct{ *Server }

var _ admin.Running = operator{}

var errStarting = errors.New("the server is starting")

// Directory implements admin.Running.
func (o operator) Directory() admin.Directory {
	if n := o.ready.Load(); n != nil {
		return n.Directory()
	}
	return nil
}

// List implements admin.Cluster.
func (o operator) List(ctx context.Context) (admin.List, error) {
	n := o.ready.Load()
	if n == nil {
		if o.forming != nil {
			if waits := o.forming.Waits(); waits != "" {
				return admin.List{Waits: waits}, nil
			}
		}
		return admin.List{}, errStarting
	}
	state, err := n.Cluster().State(ctx)
	if err != nil {
		return admin.List{}, err
	}
	self, err := n.Cluster().Self(ctx)
	if err != nil {
		return admin.List{}, err
	}
	members, err := n.Cluster().Members(ctx)
	if err != nil {
		return admin.List{}, err
	}
	out := admin.List{Cluster: hexID(state.Cluster)}
	for _, m := range members {
		role := "learner"
		switch {
		case m.ID == state.Leader:
			role = "leader"
		case m.Voter:
			role = "voter"
		}
		out.Members = append(out.Members, admin.Member{
			ID: hexID(m.ID), Name: m.Name, Peer: m.Addrs["peer"], Main: m.Addrs[plugin.Main], State: m.State,
			Role: role, Self: m.ID == self.ID, Breaker: m.Breaker, Version: m.Version,
		})
	}
	return out, nil
}

func hexID(id uint64) string { return fmt.Sprintf("%016x", id) }

// Add implements admin.Cluster.
func (o operator) Add(ctx context.Context, address string) error {
	n := o.ready.Load()
	if n == nil {
		return errStarting
	}
	if o.peerOf != nil {
		peer, err := o.peerOf(address)
		if err != nil {
			return err
		}
		address = peer
	}
	return n.Admin().Add(ctx, address)
}

// Remove implements admin.Cluster.
func (o operator) Remove(ctx context.Context, member string) error {
	n, id, err := o.find(ctx, member)
	if err != nil {
		return err
	}
	return n.Admin().Remove(ctx, id)
}

// Transfer implements admin.Cluster.
func (o operator) Transfer(ctx context.Context, member string) error {
	if member == "" {
		n := o.ready.Load()
		if n == nil {
			return errStarting
		}
		return n.Admin().Transfer(ctx, 0)
	}
	n, id, err := o.find(ctx, member)
	if err != nil {
		return err
	}
	return n.Admin().Transfer(ctx, id)
}

// Form implements admin.Cluster.
func (o operator) Form(context.Context) error {
	if n := o.ready.Load(); n != nil {
		return errors.New("this member is in a cluster")
	}
	if o.forming == nil {
		return errStarting
	}
	return o.forming.Force()
}

// Backup implements admin.Backups.
func (o operator) Backup(ctx context.Context) (cluster.Chunks, error) {
	n := o.ready.Load()
	if n == nil {
		return nil, errStarting
	}
	chunks, err := n.Admin().Backup(ctx)
	if err != nil {
		return nil, err
	}
	o.logger.Info("backup begun")
	return &loggedBackup{Chunks: chunks, logger: o.logger, begun: time.Now()}, nil
}

// loggedBackup tells how a backup ended.
type loggedBackup struct {
	cluster.Chunks
	logger *zap.Logger
	begun  time.Time
	bytes  int64
	ended  bool
	err    error
}

// Next implements cluster.Chunks.
func (b *loggedBackup) Next(ctx context.Context) ([]byte, error) {
	p, err := b.Chunks.Next(ctx)
	b.bytes += int64(len(p))
	b.ended = errors.Is(err, io.EOF)
	if err != nil && !b.ended {
		b.err = err
	}
	return p, err
}

// Close implements cluster.Chunks.
func (b *loggedBackup) Close() error {
	fields := []zap.Field{zap.Int64("bytes", b.bytes), zap.Duration("elapsed", time.Since(b.begun))}
	if b.ended {
		b.logger.Info("backup ended", fields...)
	} else {
		b.logger.Warn("backup cut short", append(fields, zap.Error(b.err))...)
	}
	return b.Chunks.Close()
}

// find returns the member that is meant by an id, a name or an address.
func (o operator) find(ctx context.Context, member string) (*core.Node, uint64, error) {
	n := o.ready.Load()
	if n == nil {
		return nil, 0, errStarting
	}
	members, err := n.Cluster().Members(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range members {
		if member == hexID(m.ID) || member == m.Name || slices.Contains(slices.Collect(maps.Values(m.Addrs)), member) {
			return n, m.ID, nil
		}
	}
	return nil, 0, fmt.Errorf("no member is called %q: see batata cluster list", member)
}
