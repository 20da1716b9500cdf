package core

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/internal/authz"
	"github.com/easynet-cn/batata/core/internal/backup"
	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/internal/compile"
	"github.com/easynet-cn/batata/core/internal/configraft"
	"github.com/easynet-cn/batata/core/internal/distro"
	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/internal/group"
	"github.com/easynet-cn/batata/core/internal/lessor"
	"github.com/easynet-cn/batata/core/internal/locks"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/namespaces"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/repair"
	"github.com/easynet-cn/batata/core/internal/roster"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
	"github.com/easynet-cn/batata/core/namespace"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/core/txn"
)

// The owners of tables that are not a plugin's.
const (
	ownerCore     = "core"     // users, configs, namespaces, locks
	ownerEmbedder = "embedder" // Config.Tables
)

// Node is one started node. Its accessors return the same values for its whole
// life and are safe for concurrent use.
type Node struct {
	identity *member.File
	log      *raftlog.Log
	store    *store.Store
	raft     *raftnode.Node
	core     *scope.Scope
	embedder *scope.Scope
	leases   *lessor.Lessor
	locks    *locks.Engine
	configs  *configraft.Store
	registry *catalog.Engine
	distro   *distro.Engine // nil: alone
	auth     *authz.Engine
	spaces   namespaces.Namespaces
	group    *group.Group // nil: alone
	calls    *group.Calls
	cluster  clusterView
	profile  atomic.Pointer[roster.Profile] // of a node that is alone
	config   Config

	stop    context.CancelFunc
	workers sync.WaitGroup
	once    sync.Once
	closed  error
}

// Start opens the data directory, recovers, and returns when the node is ready:
// it knows a leader, itself when it is alone, and holds everything that was
// acknowledged before. One of several waits for the others as long as ctx lasts.
// ctx is for starting only.
func Start(ctx context.Context, c Config) (*Node, error) {
	c.fill()
	if c.DataDir == "" {
		return nil, errors.New("start node: data directory: blank")
	}
	if c.Durability != Fsync && c.Durability != OS {
		return nil, fmt.Errorf("start node: durability: want fsync or os, got %q", c.Durability)
	}
	n := &Node{config: c, calls: &group.Calls{Logger: c.Logger}}
	n.profile.Store(profileOf(&c.Peer))
	if err := n.open(&c); err != nil {
		return nil, errors.Join(fmt.Errorf("start node: %w", damaged(c.DataDir, err)), n.Close()) //nolint:contextcheck // ctx may be why
	}
	if err := n.assemble(ctx, &c); err != nil {
		return nil, errors.Join(fmt.Errorf("start node: %w", damaged(c.DataDir, err)), n.Close()) //nolint:contextcheck // ctx may be why
	}
	return n, nil
}

// open takes the files of the data directory.
func (n *Node) open(c *Config) (err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	noSync := c.Durability == OS
	if noSync {
		c.Logger.Warn("durability is os: a power failure loses acknowledged writes")
	}
	if err := errors.Join(backup.Resume(restoreOptions(c.DataDir, 0)), repair.Resume(c.DataDir)); err != nil {
		return err
	}
	// state.db first: its lock keeps a second process out of everything else.
	n.store, err = store.Open(store.Options{
		Dir: c.DataDir, NoSync: noSync, Logger: c.Logger.Named("store"),
		OnFail: func(err error) {
			if n.raft != nil {
				n.raft.Fail(err)
			}
		},
	})
	if err != nil {
		return err
	}
	if n.identity, err = member.Open(c.DataDir); err != nil {
		return err
	}
	n.log, err = raftlog.Open(filepath.Join(c.DataDir, logDir), raftlog.Options{NoSync: noSync, Logger: c.Logger.Named("log")})
	if err == nil && c.OnOpen != nil {
		c.OnOpen()
	}
	return err
}

// assemble starts raft and what stands on it.
func (n *Node) assemble(ctx context.Context, c *Config) (err error) {
	n.leases = lessor.New(n.Leads, c.Logger.Named("lease"))
	n.configs = configraft.New(n.store, c.Configs.CacheBytes, c.Logger.Named("configs"))
	n.registry = catalog.New(catalog.Settings{
		Member: n.identity.Member(), Linger: c.Registry.OverrideLinger, Warmup: c.Registry.Warmup,
		Logger: c.Logger.Named("registry"), Meters: c.Metrics,
	})
	if err := errors.Join(n.store.Observe(n.leases), n.store.Observe(n.configs), n.store.Observe(catalog.Observe(n.registry))); err != nil {
		return err
	}
	if err := n.startRaft(ctx, c); err != nil {
		return err
	}
	if n.core, err = scope.Open(ctx, ownerCore, coreTables(), n.raft, n.store); err != nil {
		return err
	}
	if n.embedder, err = scope.Open(ctx, ownerEmbedder, c.Tables, n.raft, n.store); err != nil {
		return err
	}
	if n.auth, err = newAuth(c, n.core); err != nil {
		return err
	}
	n.spaces = namespaces.Namespaces{Store: n.core, Now: time.Now}
	n.locks = locks.New(locks.Settings{
		Store: n.core, Clock: n.leases, Failed: n.raft.Done(), Logger: c.Logger.Named("locks"), Meters: c.Metrics,
	})
	n.cluster = clusterView{node: n}
	n.run()    //nolint:contextcheck // runs until Close, long after ctx
	n.opened() //nolint:contextcheck // lets others in until Close
	return n.replicate(ctx, c)
}

// coreTables are all tables of core itself.
func coreTables() []kv.TableSpec {
	return slices.Concat(authz.Tables(), catalog.Tables(), configraft.Tables(), namespaces.Tables(), locks.Tables(), roster.Tables())
}

// newAuth builds the engine behind Auth and Directory.
func newAuth(c *Config, users kv.Store) (*authz.Engine, error) {
	secret, err := tokenSecret(c)
	if err != nil {
		return nil, err
	}
	return authz.New(authz.Settings{
		Store: users, Secret: secret, TTL: c.Auth.TTL, AllowWeak: c.Auth.AllowWeakPasswords,
		SetupToken: c.Auth.SetupToken, PasswordCost: c.Auth.PasswordCost, Logger: c.Logger.Named("auth"),
	})
}

// tokenSecret is what signs tokens: the same on all members.
func tokenSecret(c *Config) ([]byte, error) {
	if c.Auth.Secret != nil {
		return c.Auth.Secret, nil
	}
	if !c.Peer.alone() {
		return hkdf.Key(sha256.New, c.Peer.Secret, nil, "batata tokens 1", sha256.Size)
	}
	path := filepath.Join(c.DataDir, "secret")
	secret, created, err := authz.Secret(path)
	if created {
		c.Logger.Info("secret for tokens made", zap.String("file", path))
	}
	return secret, err
}

// run starts the background workers.
func (n *Node) run() {
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.workers.Go(func() { n.leases.Run(ctx, n.raft) })
	n.workers.Go(func() { n.locks.Run(ctx) })
	n.workers.Go(func() { n.locks.GiveBack(ctx) })
	keeper := catalog.Keeper{Engine: n.registry, Store: n.core, Leads: n.Leads}
	n.workers.Go(func() { keeper.Run(ctx) })
	n.workers.Go(func() {
		n.configs.Retain(ctx, configraft.Retention{
			Age: n.config.Configs.RetentionAge, Keep: n.config.Configs.RetentionKeep, Now: time.Now,
			Leads: n.Leads, Drop: n.dropVersions,
		})
	})
}

// dropVersions deletes old rows of the history, in transactions of bounded size.
func (n *Node) dropVersions(ctx context.Context, keys [][]byte) error {
	for chunk := range slices.Chunk(keys, kv.MaxOps) {
		ops := make([]kv.Op, len(chunk))
		for i, k := range chunk {
			ops[i] = kv.Op{Kind: kv.Delete, Key: k}
		}
		if _, err := n.raft.Propose(ctx, &fsm.Txn{Then: ops}); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the node and closes its files; what is acknowledged is on disk
// anyway. One that leads others lets one of them lead first. It is idempotent.
func (n *Node) Close() error {
	n.once.Do(func() {
		if n.stop != nil {
			n.stop()
		}
		n.workers.Wait()
		if n.distro != nil {
			n.distro.Shutdown()
		}
		n.closePeers()
		var errs []error
		if n.store != nil {
			errs = append(errs, n.store.Close())
		}
		if n.log != nil {
			errs = append(errs, n.log.Close())
		}
		n.closed = errors.Join(errs...)
	})
	return n.closed
}

// Done is closed when the node has failed for good: its log or its state cannot
// be written. Err says why; the process should end.
func (n *Node) Done() <-chan struct{} { return n.raft.Done() }

// Err is the failure that closed Done, nil before.
func (n *Node) Err() error { return n.raft.Err() }

// Ready says whether the node takes writes; the error says what is missing.
func (n *Node) Ready(context.Context) error {
	switch s := n.raft.Status(); {
	case n.raft.Err() != nil:
		return n.raft.Err()
	case !s.Ready:
		return kv.ErrNoLeader
	case n.distro != nil && !n.distro.Synced():
		return errUnread
	}
	return nil
}

// Leads says whether this member leads and holds everything that was ever
// acknowledged: whether it is the one to do what only one may.
func (n *Node) Leads() bool { return n.raft.Status().Leads }

// KV is the embedder's own tables, those of Config.Tables.
func (n *Node) KV() kv.Store { return n.embedder }

// Leases keeps rows alive.
func (n *Node) Leases() kv.Leases { return keeper{n.leases.For(n.raft), n} }

// Locks are the embedder's own.
func (n *Node) Locks() lock.Locks { return n.locks.For(ownerEmbedder) }

// Txn commits batches of the embedder.
func (n *Node) Txn() txn.Committer { return n.committer(ownerEmbedder, n.embedder) }

func (n *Node) committer(owner string, own *scope.Scope) txn.Committer {
	return &compile.Committer{Owner: owner, Own: own, Core: n.core, Node: n.raft, Configs: n.configs, Registry: n.registry, Now: time.Now}
}

// Configs reads the config store.
func (n *Node) Configs() configstore.Configs { return n.configs }

// ConfigCounts is the number of config items in each namespace.
func (n *Node) ConfigCounts() map[string]int64 { return n.configs.Counts() }

// Registry reads the services.
func (n *Node) Registry() registry.Catalog { return n.registry }

// ServiceCounts is the number of services in each namespace.
func (n *Node) ServiceCounts() map[string]int64 { return n.registry.Counts() }

// Ephemeral keeps the embedder's instances that live in memory.
func (n *Node) Ephemeral() registry.Ephemeral { return n.ephemeral(ownerEmbedder) }

// Namespaces keeps the labels of tenants.
func (n *Node) Namespaces() namespace.Namespaces { return n.spaces }

// Auth authenticates and decides.
func (n *Node) Auth() auth.Auth { return n.auth }

// Directory keeps users, roles and grants.
func (n *Node) Directory() auth.Directory { return n.auth }

// Cluster tells about the members.
func (n *Node) Cluster() cluster.Cluster { return n.cluster }
