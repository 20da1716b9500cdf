package core

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
)

// Durability says when a write is acknowledged.
type Durability string

const (
	// Fsync acknowledges what is on disk.
	Fsync Durability = "fsync"
	// OS acknowledges what the operating system has been given. A power failure
	// loses acknowledged writes: for comparison only.
	OS Durability = "os"
)

// Config is what Start needs; only DataDir is required.
type Config struct {
	DataDir    string
	Durability Durability // empty: Fsync
	// Tables are the embedder's own, for Node.KV.
	Tables   []kv.TableSpec
	Auth     Auth
	Configs  Configs
	Registry Registry
	Logger   *zap.Logger           // nil: none
	Metrics  prometheus.Registerer // nil: none
}

// Auth configures tokens and the first administrator.
type Auth struct {
	// Secret signs tokens, at least 32 bytes; nil: made once and kept in the
	// data directory.
	Secret []byte
	TTL    time.Duration // life of a token; 0: 5 hours
	// SetupToken opens the door to the first administrator for callers
	// elsewhere; empty: only local ones may.
	SetupToken         string
	AllowWeakPasswords bool
}

// Configs configures the config store.
type Configs struct {
	CacheBytes    int64         // content kept in memory; 0: 64 MiB
	RetentionAge  time.Duration // history older than this goes; 0: 30 days
	RetentionKeep int           // but never the newest so many of an item; 0: 10
}

// Registry configures the service registry.
type Registry struct {
	OverrideLinger time.Duration // how long an override outlives its instance; 0: a minute
	// Warmup is how long after the start no instance ends for want of beats; 0: 5
	// seconds.
	Warmup time.Duration
}

func (c *Config) fill() {
	if c.Durability == "" {
		c.Durability = Fsync
	}
	if c.Auth.TTL == 0 {
		c.Auth.TTL = 5 * time.Hour
	}
	if c.Configs.CacheBytes == 0 {
		c.Configs.CacheBytes = 64 << 20
	}
	if c.Configs.RetentionAge == 0 {
		c.Configs.RetentionAge = 30 * 24 * time.Hour
	}
	if c.Configs.RetentionKeep == 0 {
		c.Configs.RetentionKeep = 10
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
}
