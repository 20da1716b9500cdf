package store

import (
	"cmp"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/fsm"
	"github.com/easynet-cn/batata/core/kv"
)

// Options configure Open. Dir is required; every other zero value means the
// default named beside it.
type Options struct {
	Dir             string        // holds state.db; created when absent
	LockTimeout     time.Duration // how long to wait for another process's lock: 1s
	InitialMmapSize int           // bytes of address space reserved for state.db: 1 GiB
	PersistEvery    time.Duration // longest time a change waits for its commit: 500ms
	PersistBytes    int64         // commit earlier at so many bytes: 32 MiB
	PersistOps      int           // or so many changed rows: 50,000
	NoSync          bool          // leave flushing to the system; loses data on power failure
	RingEvents      int           // events remembered for watchers: 128 Ki
	RingBytes       int64         // or so many bytes of rows: 64 MiB
	MaxWatchers     int           // streams open at once: 10,000
	ProgressEvery   time.Duration // mark to an idle watcher: 5s
	Logger          *zap.Logger   // default: none
	// OnFail is called once, from any goroutine, when the store fails for good.
	// It must not call Close.
	OnFail func(error)
}

// lockWait is how long a file is waited for that another process has open.
const lockWait = time.Second

func (o Options) withDefaults() Options {
	o.LockTimeout = cmp.Or(o.LockTimeout, lockWait)
	o.InitialMmapSize = cmp.Or(o.InitialMmapSize, 1<<30)
	o.PersistEvery = cmp.Or(o.PersistEvery, 500*time.Millisecond)
	o.PersistBytes = cmp.Or(o.PersistBytes, 32<<20)
	o.PersistOps = cmp.Or(o.PersistOps, 50_000)
	o.RingEvents = cmp.Or(o.RingEvents, 128<<10)
	o.RingBytes = cmp.Or(o.RingBytes, 64<<20)
	o.MaxWatchers = cmp.Or(o.MaxWatchers, 10_000)
	o.ProgressEvery = cmp.Or(o.ProgressEvery, 5*time.Second)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

// Committed is one normal entry of the raft log. Data is only read, and the cold
// rows in it share its memory until they are on disk: never reuse it. Empty Data
// is a leader's first entry and changes nothing but the index.
type Committed struct {
	Index, Term uint64
	Data        []byte
}

// Observer keeps a local view of the rows. Its methods run in the goroutine
// that applies and must be quick.
type Observer interface {
	// Rebuild reads everything anew: at Observe, and after a snapshot has
	// replaced the state.
	Rebuild(s *Store) error
	// Applied tells what one revision changed, hot and cold rows and leases, in
	// the order of the ops. The root that holds the changes, and perhaps later
	// ones, is published already. The slice is valid during the call only, the
	// records for ever. Declare makes no call: look tables up on first sight.
	Applied(rev kv.Revision, changes []fsm.Change)
}

// SnapshotMeta says what a snapshot holds.
type SnapshotMeta struct {
	Index, Term uint64
	Revision    kv.Revision
	ConfState   *raftpb.ConfState
}

// WatchOptions ask for the changes of one hot table.
type WatchOptions struct {
	Table    fsm.TableID
	Prefix   []byte // of the caller's key, without the table id
	After    kv.Revision
	Previous bool
}
