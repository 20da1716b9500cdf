package kv

import "time"

// Txn is a transaction as data: when all compares hold the ops of Then run, in
// order, else those of Else. It is one entry of the replicated log.
//
// Core keeps the byte slices of a Txn: never reuse them after Commit.
type Txn struct {
	If   []Compare
	Then []Op
	Else []Op
}

// Target is the property of a row that a Compare looks at.
type Target uint8

const (
	// Modified is the revision of the last change; 0 means the row is absent.
	Modified Target = iota + 1
	// Created is the revision that created the row; 0 means absent.
	Created
	// Value is the bytes of the row; an absent row has empty bytes.
	Value
	// Lease is the id of the row's lease; 0 means none or absent.
	Lease
	// Newest is the highest Modified over all live rows with the prefix Key.
	Newest
)

// Relation relates what is found to what a Compare names.
type Relation uint8

const (
	// Equal holds when both are the same.
	Equal Relation = iota + 1
	// NotEqual holds when they differ.
	NotEqual
	// AtMost holds when what is found is not above what is named.
	AtMost
	// AtLeast holds when what is found is not below what is named.
	AtLeast
)

// Compare is one condition of a Txn. Bytes counts for Value, Num for all other
// targets. Values are compared bytewise.
type Compare struct {
	Table  string
	Key    []byte
	Target Target
	Rel    Relation
	Num    uint64
	Bytes  []byte
}

// Kind is what an Op does.
type Kind uint8

const (
	// Put writes Value.
	Put Kind = iota + 1
	// Touch keeps the value and moves Modified; it creates an empty row.
	Touch
	// Delete removes one row; an absent one is no change.
	Delete
	// DeletePrefix removes every row with the prefix Key, at most MaxPrefix.
	DeletePrefix
	// Add adds Delta to a signed counter, 8 bytes big endian, absent counting
	// as 0. A sum outside Min..Max fails the whole transaction.
	Add
	// Grant creates the lease Lease with TTL.
	Grant
	// Revoke deletes the lease Lease and every row that hangs on it.
	Revoke
)

// Op is one change of a Txn.
type Op struct {
	Kind       Kind
	Table      string
	Key, Value []byte
	Lease      LeaseID       // Put, Touch: the row ends with it; Grant, Revoke: its id
	TTL        time.Duration // Grant; rounded up to milliseconds
	Delta      int64         // Add
	Min, Max   int64         // Add
	SkipEqual  bool          // Put: same value and lease is no change at all
	IfChanged  bool          // only when an earlier op of this list changed a row
	StampKey   int32         // offset+1 of 8 bytes of Key replaced by the stamp; 0: none
	StampValue int32         // the same in Value
	Seq        uint16        // low ten bits of the stamp
}

// Result is the outcome of a Txn that reached a decision. A refused compare is
// a result, not an error.
type Result struct {
	// Committed is true when Then ran, and no Add of it left its bounds.
	Committed bool
	// Revision of the commit, or the one compared against.
	Revision Revision
	// Failed holds the indices of the compares that did not hold; the Adds that
	// left their bounds follow as len(If) + index of the op.
	Failed []int
}
