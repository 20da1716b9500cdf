package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/internal/authz"
	"github.com/easynet-cn/batata/core/internal/lessor"
	"github.com/easynet-cn/batata/core/internal/member"
	"github.com/easynet-cn/batata/core/internal/raftlog"
	"github.com/easynet-cn/batata/core/internal/raftnode"
	"github.com/easynet-cn/batata/core/internal/scope"
	"github.com/easynet-cn/batata/core/internal/store"
	"github.com/easynet-cn/batata/core/kv"
)

// The owners of tables that are not a plugin's.
const (
	ownerCore     = "core"     // users, configs, namespaces
	ownerEmbedder = "embedder" // Config.Tables
)

// Node is one started node. Its accessors return the same values for its whole
// life and are safe for concurrent use.
type Node struct {
	identity member.Identity
	log      *raftlog.Log
	store    *store.Store
	raft     *raftnode.Node
	core     *scope.Scope
	embedder *scope.Scope
	leases   *lessor.Lessor
	auth     *authz.Engine
	cluster  clusterView

	stop    context.CancelFunc
	workers sync.WaitGroup
	once    sync.Once
	closed  error
}

// Start opens the data directory, recovers, and returns when the node is ready:
// it leads its group and holds everything that was ever acknowledged. ctx is
// for starting only.
func Start(ctx context.Context, c Config) (*Node, error) {
	c.fill()
	if c.DataDir == "" {
		return nil, errors.New("start node: data directory: blank")
	}
	if c.Durability != Fsync && c.Durability != OS {
		return nil, fmt.Errorf("start node: durability: want fsync or os, got %q", c.Durability)
	}
	n := &Node{}
	if err := n.open(&c); err != nil {
		return nil, errors.Join(fmt.Errorf("start node: %w", err), n.Close())
	}
	if err := n.assemble(ctx, &c); err != nil {
		return nil, errors.Join(fmt.Errorf("start node: %w", err), n.Close())
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
	n.log, err = raftlog.Open(filepath.Join(c.DataDir, "log"), raftlog.Options{NoSync: noSync, Logger: c.Logger.Named("log")})
	return err
}

// assemble starts raft and what stands on it.
func (n *Node) assemble(ctx context.Context, c *Config) (err error) {
	n.leases = lessor.New(func() bool { return n.raft.Status().Ready }, c.Logger.Named("lease"))
	if err := n.store.Observe(n.leases); err != nil {
		return err
	}
	if err := raftnode.FreshStart(ctx, n.identity.ID, n.log, n.store); err != nil {
		return err
	}
	n.raft, err = raftnode.Start(raftnode.Options{
		ID: n.identity.ID, Log: n.log, Store: n.store, Logger: c.Logger, Meters: c.Metrics,
	})
	if err != nil {
		return err
	}
	if err := n.raft.WaitReady(ctx); err != nil {
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
	n.cluster = clusterView{node: n}
	n.run()
	return nil
}

// coreTables are all tables of core itself.
func coreTables() []kv.TableSpec { return authz.Tables() }

// newAuth builds the engine behind Auth and Directory.
func newAuth(c *Config, users kv.Store) (*authz.Engine, error) {
	secret := c.Auth.Secret
	if secret == nil {
		path := filepath.Join(c.DataDir, "secret")
		made, created, err := authz.Secret(path)
		if err != nil {
			return nil, err
		}
		if secret = made; created {
			c.Logger.Info("secret for tokens made", zap.String("file", path))
		}
	}
	return authz.New(authz.Settings{
		Store: users, Secret: secret, TTL: c.Auth.TTL, AllowWeak: c.Auth.AllowWeakPasswords,
		SetupToken: c.Auth.SetupToken, Logger: c.Logger.Named("auth"),
	})
}

// run starts the background workers.
func (n *Node) run() {
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.workers.Go(func() { n.leases.Run(ctx, n.raft) })
}

// Close stops the node and closes its files; what is acknowledged is on disk
// anyway. It is idempotent.
func (n *Node) Close() error {
	n.once.Do(func() {
		if n.stop != nil {
			n.stop()
		}
		n.workers.Wait()
		if n.raft != nil {
			n.raft.Close()
		}
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
	}
	return nil
}

// KV is the embedder's own tables, those of Config.Tables.
func (n *Node) KV() kv.Store { return n.embedder }

// Leases keeps rows alive.
func (n *Node) Leases() kv.Leases { return n.leases.For(n.raft) }

// Auth authenticates and decides.
func (n *Node) Auth() auth.Auth { return n.auth }

// Directory keeps users, roles and grants.
func (n *Node) Directory() auth.Directory { return n.auth }

// Cluster tells about the members.
func (n *Node) Cluster() cluster.Cluster { return n.cluster }
