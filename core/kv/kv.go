// Package kv is the contract of the replicated, revisioned key-value store that
// everything in core and every personality stands on.
//
// The store holds tables of rows. A row has a key, a value, the revision that
// created it, the revision that changed it last, and perhaps a lease. One
// counter, the revision, grows by one with every committed transaction that
// changed something; it is the same on all members and never falls.
//
// Invariants that every implementation keeps (the suite is kv/kvtest):
//
//   - returned values are immutable and shared; they may be kept for ever and
//     must never be written to or appended to;
//   - when Commit returns, every local view of this process includes it;
//   - who received an event of revision R sees at least R in every view;
//   - an error that was returned before proposing is certain not to have
//     happened, ErrUncertain may have.
//
// Start reading at Store, then Txn. Keys are built with package kv/tuple.
package kv

import (
	"context"
	"errors"
)

// The errors that every contract of core shares. Compare with errors.Is.
var (
	// ErrNotFound reports that a single row or item does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict reports a write that others overtook too often, or whose
	// conditions did not hold where no finer answer is given.
	ErrConflict = errors.New("conflict")
	// ErrUncertain reports a write that may still be committed.
	ErrUncertain = errors.New("outcome unknown")
	// ErrCompacted reports a watch that starts before what is still remembered:
	// list again, then watch from the revision of the list.
	ErrCompacted = errors.New("revision compacted")
	// ErrNoLeader reports that nothing was proposed, for want of a quorum.
	ErrNoLeader = errors.New("no leader")
	// ErrOverloaded reports that nothing was proposed; retry later.
	ErrOverloaded = errors.New("overloaded")
	// ErrTooLarge reports a key, value or batch above the limits of this package.
	ErrTooLarge = errors.New("too large")
	// ErrReadOnly reports a store that takes no writes at the moment (disk full,
	// restoring).
	ErrReadOnly = errors.New("store is read-only")
	// ErrLeaseGone reports a lease that has expired or was never granted.
	ErrLeaseGone = errors.New("lease gone")
	// ErrForeign reports a change to something another plugin owns.
	ErrForeign = errors.New("owned by another plugin")
	// ErrClosed reports a store or stream whose process side has been closed.
	ErrClosed = errors.New("closed")
)

// Limits of one call (CTR-B10, ARC-S12). They are checked before anything is
// allocated or proposed; beyond them calls return ErrTooLarge.
const (
	MaxKey      = 1 << 10   // bytes of one key
	MaxValue    = 10 << 20  // bytes of one value
	MaxOps      = 1024      // compares and ops of one transaction, as the caller wrote it
	MaxCompiled = 4096      // the same after core has added its own
	MaxCommand  = 12 << 20  // bytes of one encoded transaction
	MaxPage     = 10_000    // rows of one page
	MaxPrefix   = 100_000   // rows that one DeletePrefix removes
	MaxNewest   = 10_000    // rows that one Newest compare walks
	maxRevision = 1<<43 - 1 // keeps every Stamp below 1<<53
	stampBits   = 10        // low bits of a Stamp
)

// Revision counts committed transactions that changed something. It is
// cluster-wide and starts at 1 with the first change.
type Revision uint64

// Stamp is Revision<<10 | seq: unique, ordered by commit, below 1<<53, so that
// it survives a trip through a JSON number.
type Stamp uint64

// NewStamp composes a stamp; only the low ten bits of seq count.
func NewStamp(r Revision, seq uint16) Stamp {
	return Stamp(min(r, maxRevision))<<stampBits | Stamp(seq&(1<<stampBits-1))
}

// Revision returns the revision that made the stamp.
func (s Stamp) Revision() Revision { return Revision(s >> stampBits) }

// Record is one row. It is immutable and shared: neither slice may be changed
// or appended to. In cold tables Version is always zero.
type Record struct {
	Key, Value []byte
	Created    Revision
	Modified   Revision
	Version    uint32 // changes since Created, starting at 1
	Lease      LeaseID
}

// Consistency says how fresh a view is asked, or was found, to be (ARC-R08).
type Consistency uint8

const (
	// Local is the state that this node has applied.
	Local Consistency = iota + 1
	// Fresh is the state after a quorum round if one comes soon, else Local.
	Fresh
	// Linearizable is the state after one batched quorum round, or an error.
	Linearizable
)

// Residency says where the rows of a table live.
type Residency uint8

const (
	// Hot rows are in memory and on disk and can be watched.
	Hot Residency = iota + 1
	// Cold rows are on disk only, behind what is not persisted yet; they are
	// read by key and range and cannot be watched.
	Cold
)

// TableSpec declares one table of a plugin.
type TableSpec struct {
	Name      string // lower_snake_case, unique within the plugin
	Residency Residency
}

// Range asks for a page of rows in key order.
type Range struct {
	Table      string
	Prefix     []byte
	From       []byte // inclusive resume point; nil: start of prefix
	Limit      int    // 0: 1,000; at most MaxPage
	Descending bool
	KeysOnly   bool
}

// Page is one answer to a Range.
type Page struct {
	Records []*Record
	Next    []byte // From of the next page; nil: complete
	// Newest is the highest Modified among the rows of the prefix seen in this
	// page.
	Newest Revision
}

// View is one pinned revision of the hot tables; it needs no closing. Cold
// tables are read as they are at the time of the call.
type View interface {
	Revision() Revision
	// Consistency tells what was achieved.
	Consistency() Consistency
	// Get returns ErrNotFound for an absent row.
	Get(ctx context.Context, table string, key []byte) (*Record, error)
	Range(ctx context.Context, r Range) (Page, error)
	// Changed is the revision of the last change in a table, deletes included.
	Changed(ctx context.Context, table string) (Revision, error)
}

// Store is the caller's own scoped tables. A table name that the caller has not
// declared is an error.
type Store interface {
	// Get reads the local state; ErrNotFound when the row is absent.
	Get(ctx context.Context, table string, key []byte) (*Record, error)
	View(ctx context.Context, c Consistency) (View, error)
	Watch(ctx context.Context, w Watch) (Stream, error)
	// Wait returns when this node has applied revision r.
	Wait(ctx context.Context, r Revision) error
	Commit(ctx context.Context, t Txn) (Result, error)
}
