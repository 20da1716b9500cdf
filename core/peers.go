package core

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/formation"
	"github.com/easynet-cn/batata/core/internal/group"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/kv"
)

// Forming shows how a node finds its cluster while Start waits. The zero value
// is to be put into Config.Peer.
type Forming struct {
	mu     sync.Mutex // guards what follows
	search *formation.Formation
	quorum string
}

// Waits says what the node waits for; empty before it begins to, and when it has
// what it needs.
func (f *Forming) Waits() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.search == nil {
		return f.quorum
	}
	return f.search.Waits()
}

// waits notes what is missing for a quorum.
func (f *Forming) waits(text string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quorum = text
}

// Force makes the node form a cluster although members of its list are silent.
// It is refused while one of them can be reached that is in a cluster. Two nodes
// that are forced both form one each.
func (f *Forming) Force() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.search == nil {
		return errors.New("this member is not looking for a cluster")
	}
	return f.search.Force()
}

func (f *Forming) begin(s *formation.Formation) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.search = s
}

// startRaft begins alone, forms a group or finds one, and returns when raft knows
// a leader.
func (n *Node) startRaft(ctx context.Context, c *Config) error {
	var transport raftnode.Transport
	if c.Peer.alone() {
		if err := n.beginAlone(ctx); err != nil {
			return err
		}
	} else {
		if err := n.begin(ctx, c); err != nil {
			return err
		}
		transport = n.group.Transport()
	}
	var err error
	n.raft, err = raftnode.Start(raftnode.Options{
		ID: n.identity.Member(), Log: n.log, Store: n.store, Transport: transport,
		Tick: c.Peer.Tick, LogBytes: c.LogBytes, Logger: c.Logger, Meters: c.Metrics,
	})
	if err != nil {
		return err
	}
	if n.group != nil {
		n.group.Attach(n.raft)
	}
	return n.waitReady(ctx)
}

// beginAlone makes sure that this member is a group of its own.
func (n *Node) beginAlone(ctx context.Context) error {
	id := n.identity.Identity()
	applied, _ := n.store.Applied()
	switch conf := n.store.ConfState(); {
	case id.Holds && applied == 0:
		return fmt.Errorf("member %016x has lost its log and its state, and kept member.json: "+
			"restore all of the data directory, or remove that file too to begin anew", id.ID)
	case applied > 0 && (len(conf.GetVoters()) != 1 || conf.GetVoters()[0] != id.ID || len(conf.GetLearners()) > 0):
		return fmt.Errorf("the data is that of one of %d members of a cluster: start it with the others, "+
			"or remove them from the cluster first; if they are lost for ever: batata admin raft force-new-cluster%s",
			len(conf.GetVoters())+len(conf.GetLearners()), dataDir(n.config.DataDir))
	}
	return n.form(ctx)
}

// form makes this member a group of one that others can join.
func (n *Node) form(ctx context.Context) error {
	id := n.identity.Identity()
	if err := raftnode.FreshStart(ctx, id.ID, n.log, n.store); err != nil {
		return err
	}
	if id.Cluster == 0 || !id.Holds && n.store.Persisted() <= 1 {
		if err := n.identity.Join(member.Random()); err != nil {
			return err
		}
	}
	return n.identity.Hold()
}

// begin opens the peer port and finds out how raft is to begin.
func (n *Node) begin(ctx context.Context, c *Config) error {
	l := c.Peer.Listener
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Peer.Listen); err != nil {
			return fmt.Errorf("port for other members: %w", err)
		}
	}
	var err error
	n.group, err = group.New(group.Options{
		Listener: l, Advertise: c.Peer.Advertise, Members: c.Peer.Members, Secret: c.Peer.Secret, TLS: c.Peer.TLS,
		Dial: c.Peer.Dial, Every: c.Peer.Ping, ReplaceAfter: c.Peer.ReplaceAfter,
		Profile: *profileOf(&c.Peer), Owner: ownerCore, Identity: n.identity, Store: n.store, Calls: n.calls,
		Logger: c.Logger.Named("cluster"), Meters: c.Metrics,
	})
	if err != nil {
		return err
	}
	if err := n.store.Observe(n.group.Roster()); err != nil {
		return err
	}
	c.Peer.Forming.begin(n.group.Search())
	defer c.Peer.Forming.begin(nil)
	forms, err := n.group.Begin(ctx)
	if err != nil || !forms {
		return err
	}
	c.Logger.Info("forming a cluster", zap.String("address", n.group.Address()))
	return n.form(ctx)
}

const (
	// lookEvery is how often a start that waits looks for whom.
	lookEvery = time.Second
	// sayEvery is how often the log says so.
	sayEvery = 10 * time.Second
)

// waitReady waits for a leader, and says so once in a while. A member that has
// data serves nobody before it knows what the others have acknowledged meanwhile.
func (n *Node) waitReady(ctx context.Context) error {
	defer n.config.Peer.Forming.waits("")
	said := time.Now()
	for {
		part, cancel := context.WithTimeout(ctx, lookEvery)
		err := n.raft.WaitReady(part)
		cancel()
		switch {
		case err == nil || n.raft.Err() != nil:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w: no answer from %s", err, cmp.Or(n.missing(), "a majority"))
		}
		n.config.Peer.Forming.waits("no leader yet, no answer from " + cmp.Or(n.missing(), "a majority"))
		if time.Since(said) >= sayEvery {
			said = time.Now()
			n.config.Logger.Info("waiting for the other members", zap.String("missing", n.missing()),
				zap.String("if_lost_for_ever", "batata admin raft force-new-cluster"+dataDir(n.config.DataDir)))
		}
	}
}

func (n *Node) missing() string {
	if n.group == nil {
		return ""
	}
	var out []string
	for _, m := range n.group.Members() {
		if !m.Self && m.Health.State != peer.Up {
			out = append(out, fmt.Sprintf("%s (%s)", m.Address, m.Health.Error))
		}
	}
	return strings.Join(out, ", ")
}

// opened lets others in, when there may be others. Everything stands.
func (n *Node) opened() {
	if n.group == nil {
		return
	}
	n.calls.Handle(group.Service, methodKeepAlive, n.keptAlive)
	n.group.Start(n.core)
}

// stepDownLimit bounds the wait for somebody else to lead.
const stepDownLimit = 5 * time.Second

// closePeers lets somebody else lead, then ends raft and the connections.
func (n *Node) closePeers() {
	if n.group != nil {
		n.group.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), stepDownLimit)
		if err := n.group.StepDown(ctx); err != nil {
			n.config.Logger.Warn("nobody took over", zap.Error(err))
		}
		cancel()
	}
	if n.raft != nil {
		n.raft.Close()
	}
	if n.group != nil {
		n.group.Close()
	}
}

// ErrRemoved is why a node fails that was removed from its cluster.
var ErrRemoved = group.ErrRemoved

// PeerAddress is where other members reach this one; empty for a node that is
// alone.
func (n *Node) PeerAddress() string {
	if n.group == nil {
		return ""
	}
	return n.group.Address()
}

// HandOver lets another member lead, if this one does and there is another. A
// node does so by itself when it is closed.
func (n *Node) HandOver(ctx context.Context) error {
	if n.group == nil {
		return nil
	}
	return n.group.StepDown(ctx)
}

// SetMembers changes the list of members to find a cluster with.
func (n *Node) SetMembers(peers []string) {
	if n.group != nil {
		n.group.SetList(peers)
	}
}

// Announce changes what this member tells the others, and a node that is alone
// tells of itself: addresses and metadata are added to what it has told before. An
// address that stands for every one of the machine's is told as the first that is
// not loopback (NAD-CLU-04).
func (n *Node) Announce(addrs, meta map[string]string) {
	told := make(map[string]string, len(addrs))
	for name, a := range addrs {
		told[name] = group.Reachable(a)
	}
	change := func(p *roster.Profile) { p.Addresses, p.Meta = merged(p.Addresses, told), merged(p.Meta, meta) }
	if n.group != nil {
		n.group.SetProfile(change)
		return
	}
	p := *n.profile.Load()
	change(&p)
	n.profile.Store(&p)
}

// profileOf is what the configuration says of this member.
func profileOf(p *Peer) *roster.Profile {
	return &roster.Profile{Name: p.Name, Addresses: p.Addrs, Meta: p.Meta, Features: p.Features, Version: p.Version}
}

func merged(old, added map[string]string) map[string]string {
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, added)
	return out
}

const methodKeepAlive = "keepalive"

// maxKeepAlive bounds the leases of one call.
const maxKeepAlive = 100_000

// keeper keeps leases alive on the member that knows their time.
type keeper struct {
	kv.Leases
	node *Node
}

// KeepAlive implements kv.Leases.
func (k keeper) KeepAlive(ctx context.Context, ids []kv.LeaseID) ([]time.Duration, error) {
	n := k.node
	if n.group == nil || n.Leads() {
		return k.Leases.KeepAlive(ctx, ids)
	}
	var out []time.Duration
	for part := range slices.Chunk(ids, maxKeepAlive) {
		body := make([]byte, 0, 8*len(part))
		for _, id := range part {
			body = binary.BigEndian.AppendUint64(body, uint64(id))
		}
		answer, err := n.group.OnLeader(ctx, methodKeepAlive, body)
		if err != nil {
			return nil, fmt.Errorf("keep lease alive: %w", err)
		}
		if len(answer) != 8*len(part) {
			return nil, fmt.Errorf("keep lease alive: answer of %d bytes for %d leases", len(answer), len(part))
		}
		for i := range part {
			out = append(out, time.Duration(binary.BigEndian.Uint64(answer[8*i:])))
		}
	}
	return out, nil
}

// keptAlive answers other members.
func (n *Node) keptAlive(ctx context.Context, _ uint64, body []byte) ([]byte, error) {
	if len(body)%8 != 0 || len(body) > 8*maxKeepAlive {
		return nil, fmt.Errorf("%d bytes of leases: %w", len(body), kv.ErrTooLarge)
	}
	ids := make([]kv.LeaseID, len(body)/8)
	for i := range ids {
		ids[i] = kv.LeaseID(binary.BigEndian.Uint64(body[8*i:]))
	}
	left, err := n.leases.For(n.raft).KeepAlive(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(body))
	for _, d := range left {
		out = binary.BigEndian.AppendUint64(out, uint64(max(0, d)))
	}
	return out, nil
}
