// Package group makes one member of a cluster out of an identity, a transport,
// raft and the roster: it finds or forms the group at start, lets others in,
// gives learners their vote, takes members out, and carries calls between
// members.
//
// What is to happen to members stands in the roster; the leader works towards it,
// one step at a time, from what it reads there and in raft. So every step may be
// cut short by a crash or a change of leader, and the next leader goes on.
//
// A Group owns the goroutines of its peer.Server and peer.Pool and one that does
// the work above, from Start to Close. Start reading at New, then Begin, then
// reconcile.
package group

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/formation"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// Options wire a group. All without a default named are required.
type Options struct {
	Listener  net.Listener // of the peer port; the group closes it
	Advertise string       // address of it for others; empty: reachable of the listener's
	Members   []string     // peer addresses of the configured members
	Secret    []byte
	TLS       *tls.Config // nil: none but the secret proves a member
	Dial      func(ctx context.Context, address string) (net.Conn, error)
	Every     time.Duration // between pings; default: 1s
	// ReplaceAfter is how long a member must be unreachable before another one
	// may take its address; default: 60s.
	ReplaceAfter time.Duration
	Profile      roster.Profile // but for the address
	Owner        string         // of the roster's table
	Identity     *member.File
	Store        *store.Store
	Calls        *Calls
	Logger       *zap.Logger
	Meters       prometheus.Registerer
}

// ErrRemoved reports that this member is not in its cluster any more.
var ErrRemoved = errors.New("this member was removed from the cluster; " +
	"stop it and move its data directory away, then it can join as a new one")

// Group is this member among the others.
type Group struct {
	o       Options
	logger  *zap.Logger
	server  *peer.Server
	pool    *peer.Pool
	roster  *roster.Roster
	search  *formation.Formation
	changed signal

	list      atomic.Pointer[[]string]
	advertise atomic.Pointer[string]
	profile   atomic.Pointer[roster.Profile]
	update    sync.Mutex // guards what the transport is told
	// seeds are addresses that others have told; the roster may not know them
	// yet.
	seeds atomic.Pointer[map[uint64]string]
	raft  atomic.Pointer[raftnode.Node]
	store atomic.Pointer[kv.Store] // core's tables

	joins   chan struct{} // capacity 1: one member joins at a time
	poke    chan struct{} // capacity 1: something is to be done
	created time.Time
	gaveWay time.Time // of the goroutine of run

	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

// New returns a group that does nothing yet. Its roster is to be observed.
func New(o Options) (*Group, error) {
	o.Every = cmp.Or(o.Every, time.Second)
	o.ReplaceAfter = cmp.Or(o.ReplaceAfter, time.Minute)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	g := &Group{
		o: o, logger: o.Logger, joins: make(chan struct{}, 1), poke: make(chan struct{}, 1), created: time.Now(),
	}
	o.Advertise = cmp.Or(o.Advertise, reachable(o.Listener.Addr(), machineAddrs()))
	g.advertise.Store(&o.Advertise)
	g.profile.Store(&o.Profile)
	g.seeds.Store(&map[uint64]string{})
	g.SetList(o.Members)
	g.serve()
	g.roster = roster.New(o.Owner, g.rosterChanged, o.Logger)
	var err error
	g.pool, err = peer.NewPool(peer.PoolOptions{
		Secret: o.Secret, Self: o.Identity, TLS: o.TLS, Dial: o.Dial, Every: o.Every,
		Removed: g.removedBy, Changed: g.healthChanged, Logger: o.Logger, Meters: o.Meters,
	})
	if err != nil {
		return nil, errors.Join(err, o.Listener.Close())
	}
	g.server, err = peer.NewServer(peer.ServerOptions{
		Secret: o.Secret, Self: o.Identity, Door: door{g}, TLS: o.TLS, Logger: o.Logger,
	})
	if err != nil {
		g.pool.Close()
		return nil, errors.Join(err, o.Listener.Close())
	}
	g.search = formation.New(formation.Settings{
		Member: o.Identity.Member(), Asker: asker{g}, List: g.List, Address: g.Address,
		Found: g.found, Every: o.Every / 2, Logger: o.Logger,
	})
	return g, nil
}

// Roster is the observer of the members' table.
func (g *Group) Roster() *roster.Roster { return g.roster }

// Transport is how raft reaches the others.
func (g *Group) Transport() raftnode.Transport { return g.pool }

// Search is the search for a group at start.
func (g *Group) Search() *formation.Formation { return g.search }

// Address is the peer address of this member, as others write it.
func (g *Group) Address() string { return *g.advertise.Load() }

// List is the configured members.
func (g *Group) List() []string { return *g.list.Load() }

// SetList changes the configured members. It only ever adds: who is a member
// stays one until it is removed.
func (g *Group) SetList(members []string) {
	list := slices.Clone(members)
	g.list.Store(&list)
}

// SetProfile changes what this member tells about itself.
func (g *Group) SetProfile(change func(*roster.Profile)) {
	p := *g.profile.Load()
	change(&p)
	g.profile.Store(&p)
	g.wake()
}

// found takes the name by which the list reaches this member, unless the
// operator has given another.
func (g *Group) found(address string) {
	if g.o.Advertise == "" {
		g.advertise.Store(&address)
		g.logger.Info("address of this member", zap.String("address", address))
	}
}

// Begin answers at the peer port and returns how raft is to begin: forms says
// that this member is the first of a new group. It waits for a group for as
// long as ctx lasts.
func (g *Group) Begin(ctx context.Context) (forms bool, err error) {
	g.server.Serve(g.o.Listener)
	id := g.o.Identity.Identity()
	applied, _ := g.o.Store.Applied()
	switch {
	case id.Holds && applied == 0:
		return false, fmt.Errorf("member %016x of cluster %016x has lost its log and its state, and kept member.json: "+
			"remove that file too, then it joins as a new member", id.ID, id.Cluster)
	case applied > 0 && id.Cluster == 0:
		// It stopped while it formed its group; nobody else knows of it yet.
		return true, nil
	case applied > 0:
		return false, nil
	}
	out, err := g.search.Run(ctx)
	switch {
	case err != nil:
		return false, err
	case out == formation.Joins:
		return false, nil
	case id.Cluster != 0:
		return false, fmt.Errorf("this member was about to join cluster %016x, and nobody of its list is in that: "+
			"remove member.json, then it begins anew", id.Cluster)
	}
	return true, nil
}

// Attach joins raft with the transport. Call it right after raft has started.
func (g *Group) Attach(n *raftnode.Node) {
	g.raft.Store(n)
	g.pool.Attach(n)
	g.server.Open(inner{g})
	g.rosterChanged()
}

// Start lets others in and begins to work. st holds core's tables; raft knows a
// leader.
func (g *Group) Start(st kv.Store) {
	g.store.Store(&st)
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.wg.Go(func() { g.run(ctx) })
}

// Stop ends the work on members; raft still reaches the others.
func (g *Group) Stop() {
	if g.cancel != nil {
		g.cancel()
	}
	g.wg.Wait()
}

// Close ends everything. It is idempotent.
func (g *Group) Close() {
	g.once.Do(func() {
		g.Stop()
		g.server.Close()
		_ = g.o.Listener.Close() // closed already when it was served
		g.pool.Close()
	})
}

// run does what is to be done, each time something has changed and in between.
func (g *Group) run(ctx context.Context) {
	tick := time.NewTicker(g.o.Every / 2)
	defer tick.Stop()
	for {
		g.work(ctx)
		select {
		case <-tick.C:
		case <-g.poke:
		case <-ctx.Done():
			return
		}
	}
}

func (g *Group) wake() {
	select {
	case g.poke <- struct{}{}:
	default:
	}
}

// rosterChanged makes the transport follow the members. It runs in the goroutine
// that applies.
func (g *Group) rosterChanged() {
	g.follow()
	if e := g.roster.View().Find(g.o.Identity.Member()); e != nil && e.Standing == roster.Removed {
		g.removed()
	}
	g.changed.broadcast()
	g.wake()
}

func (g *Group) follow() {
	g.update.Lock()
	defer g.update.Unlock()
	v := g.roster.View()
	addresses := map[uint64]string{}
	for id, a := range *g.seeds.Load() {
		if e := v.Find(id); e == nil {
			addresses[id] = a
		}
	}
	maps.Copy(addresses, v.Addresses())
	g.pool.Update(addresses)
}

func (g *Group) healthChanged() {
	g.changed.broadcast()
	g.wake()
}

// removedBy is called when another member says that this one was removed.
func (g *Group) removedBy(uint64) { g.removed() }

// removed ends raft: nobody answers it any more.
func (g *Group) removed() {
	if n := g.raft.Load(); n != nil {
		n.Fail(ErrRemoved)
	}
}

// signal wakes everyone who waits, at each broadcast.
type signal struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
