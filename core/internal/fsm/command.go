package fsm

import (
	"errors"

	"github.com/easynet-cn/batata/core/kv"
)

var (
	// ErrFormat reports an entry in a format newer than this build. The member
	// must stop applying and be upgraded: skipping the entry would diverge.
	ErrFormat = errors.New("entry in a newer format")
	// ErrMalformed reports bytes that are not a command.
	ErrMalformed = errors.New("malformed command")
	// ErrInvalid reports a command that no state can accept, such as a Put
	// without a key or an Add on a cold table.
	ErrInvalid = errors.New("invalid command")
)

// Count is a kind of op beside those of core/kv, for core alone: the hot row Key
// becomes the number of hot rows with the absolute prefix Value, as the counter
// that kv.Add goes on from. It walks them all, so it is for rare changes.
const Count kv.Kind = 64

// Txn is a transaction on absolute keys. Its Compares and Ops carry an empty
// Table, and stamp offsets count from the start of the absolute key.
//
// When any of Guards fails nothing runs, neither Then nor Else. Otherwise the
// semantics are those of kv.Txn.
type Txn struct {
	Guards []kv.Compare
	If     []kv.Compare
	Then   []kv.Op
	Else   []kv.Op
}

// Declare gives ids to the tables of one owner. A table that exists keeps its
// id; declaring it with another residency is refused with ErrInvalid. It moves
// no revision.
type Declare struct {
	Owner  string
	Tables []kv.TableSpec
}

// Command is one step of the state machine; exactly one of Txn and Declare is
// set. ID is the proposer's: it comes back in the Outcome and means nothing
// else.
type Command struct {
	ID      uint64
	Txn     *Txn
	Declare *Declare
}

// Outcome is what one Command came to.
type Outcome struct {
	ID     uint64
	Result kv.Result
	// Guards holds the indices of the guards that did not hold; then nothing
	// ran and Result holds only the revision compared against.
	Guards []int
	// Err is nil or, after errors.Is, one of ErrMalformed, ErrInvalid,
	// kv.ErrTooLarge and kv.ErrLeaseGone. All of them mean that nothing changed.
	Err error
}

// Change is one row that a command changed: the net effect, once per row and
// revision. Rows of hot tables carry Previous, rows of cold tables do not.
type Change struct {
	kv.Event
	Table TableID
	Cold  bool
	// Abs is the absolute key. It shares memory with the record.
	Abs string
}
