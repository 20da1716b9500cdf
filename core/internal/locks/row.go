package locks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/lock"
)

// The value of a row is the format, the random number of the acquisition, and the
// owner.
const (
	format    = 1
	valueHead = 1 + 8
	textEnd   = 2 // bytes that end a text in a key
)

var errRow = errors.New("lock row not understood")

func isAbsent(err error) bool { return errors.Is(err, kv.ErrNotFound) }

// rowKey is the key of a lock, or an error when a part of it is too long.
func rowKey(owner, space, name string) ([]byte, error) {
	key, err := text(tuple.AppendString(nil, owner), "space", space, lock.MaxSpace)
	if err != nil {
		return nil, err
	}
	return text(key, "name", name, lock.MaxName)
}

// text appends a part of a key that has a limit.
func text(key []byte, what, s string, most int) ([]byte, error) {
	n := len(s) + strings.Count(s, "\x00")
	if n > most {
		return nil, fmt.Errorf("%s of %d bytes: %w: at most %d", what, n, kv.ErrTooLarge, most)
	}
	return tuple.AppendString(key, s), nil
}

// newValue is the value of an acquisition, like no other.
func newValue(owner string) []byte {
	b := append(make([]byte, 0, valueHead+len(owner)), format)
	return append(binary.BigEndian.AppendUint64(b, rand.Uint64()), owner...)
}

func newLease() kv.LeaseID { return kv.LeaseID(rand.Uint64()>>1 | 1) }

// holder reads who has a lock.
func holder(rec *kv.Record) (string, error) {
	if len(rec.Value) < valueHead || rec.Value[0] != format {
		return "", errRow
	}
	return string(rec.Value[valueHead:]), nil
}

// named reads the whole row of a lock.
func named(rec *kv.Record) (lock.Held, error) {
	parts, err := tuple.Strings(rec.Key)
	if err != nil || len(parts) != 3 {
		return lock.Held{}, errRow
	}
	owner, err := holder(rec)
	return lock.Held{Space: parts[1], Name: parts[2], Owner: owner, Token: uint64(rec.Created)}, err
}

func checkTTL(ttl time.Duration) error {
	if ttl < lock.MinTTL || ttl > lock.MaxTTL {
		return fmt.Errorf("time of %v: %w: want %v to %v", ttl, kv.ErrTooLarge, lock.MinTTL, lock.MaxTTL)
	}
	return nil
}

func checkOwner(owner string) error {
	if len(owner) > lock.MaxName {
		return fmt.Errorf("owner of %d bytes: %w", len(owner), kv.ErrTooLarge)
	}
	return nil
}
