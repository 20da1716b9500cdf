package fsm

import (
	"fmt"
	"math"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// Validate checks a transaction against the limits of core/kv and the declared
// tables, before it is proposed. Its errors are kv.ErrTooLarge and ErrInvalid.
//
// Rows of a cold table can be Put (without a lease), Deleted and DeletePrefixed,
// and compared by Modified and Value; each such compare may cost a disk read in
// apply, so use few.
func Validate(t *Txn, tables *Tables) error {
	if err := check(t, tables); err != nil {
		return err
	}
	if n := Size(&Command{Txn: t}); n > kv.MaxCommand {
		return fmt.Errorf("transaction of %d bytes: %w: at most %d", n, kv.ErrTooLarge, kv.MaxCommand)
	}
	return nil
}

// check is the part of Validate that apply repeats.
func check(t *Txn, tables *Tables) error {
	if n := len(t.Guards) + len(t.If) + len(t.Then) + len(t.Else); n > kv.MaxCompiled {
		return fmt.Errorf("transaction of %d ops: %w: at most %d", n, kv.ErrTooLarge, kv.MaxCompiled)
	}
	for i := range t.Guards {
		if err := checkCompare(&t.Guards[i], tables); err != nil {
			return fmt.Errorf("guard %d: %w", i, err)
		}
	}
	for i := range t.If {
		if err := checkCompare(&t.If[i], tables); err != nil {
			return fmt.Errorf("compare %d: %w", i, err)
		}
	}
	for i := range t.Then {
		if err := checkOp(&t.Then[i], tables); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
	}
	for i := range t.Else {
		if err := checkOp(&t.Else[i], tables); err != nil {
			return fmt.Errorf("else op %d: %w", i, err)
		}
	}
	return nil
}

func checkCompare(c *kv.Compare, tables *Tables) error {
	table, err := checkKey(c.Key, c.Table, c.Target == kv.Newest, tables)
	switch {
	case err != nil:
		return err
	case c.Target < kv.Modified || c.Target > kv.Newest:
		return invalid("target %d", c.Target)
	case c.Rel < kv.Equal || c.Rel > kv.AtLeast:
		return invalid("relation %d", c.Rel)
	case len(c.Bytes) > kv.MaxValue:
		return fmt.Errorf("value of %d bytes: %w", len(c.Bytes), kv.ErrTooLarge)
	case table.Residency == kv.Cold && c.Target != kv.Modified && c.Target != kv.Value:
		return invalid("target %d on cold table %q", c.Target, table.Name)
	}
	return nil
}

func checkOp(o *kv.Op, tables *Tables) error {
	switch o.Kind {
	case kv.Grant, kv.Revoke:
		return checkLease(o)
	case kv.Put, kv.Touch, kv.Delete, kv.DeletePrefix, kv.Add:
	case Count:
		if counted, err := checkKey(o.Value, "", true, tables); err != nil {
			return err
		} else if counted.Residency == kv.Cold {
			return invalid("rows of cold table %q are not counted", counted.Name)
		}
	default:
		return invalid("kind %d", o.Kind)
	}
	table, err := checkKey(o.Key, o.Table, o.Kind == kv.DeletePrefix, tables)
	switch {
	case err != nil:
		return err
	case len(o.Value) > kv.MaxValue:
		return fmt.Errorf("value of %d bytes: %w", len(o.Value), kv.ErrTooLarge)
	case o.Kind == kv.Add && o.Min > o.Max:
		return invalid("bounds %d..%d", o.Min, o.Max)
	case table.Residency != kv.Cold:
	case o.Kind == kv.Touch || o.Kind == kv.Add || o.Kind == Count:
		return invalid("kind %d on cold table %q", o.Kind, table.Name)
	case o.Lease != 0:
		return invalid("lease on cold table %q", table.Name)
	}
	return checkStamps(o)
}

func checkLease(o *kv.Op) error {
	switch {
	case o.Lease == 0:
		return invalid("lease 0")
	case o.Lease > math.MaxInt64:
		return invalid("lease %d is wider than 63 bits", o.Lease)
	case o.Kind == kv.Grant && o.TTL <= 0:
		return invalid("ttl %s", o.TTL)
	case o.TTL > math.MaxInt64-time.Millisecond:
		return invalid("ttl %s", o.TTL)
	case o.StampKey != 0 || o.StampValue != 0:
		return invalid("stamp on a lease")
	}
	return nil
}

func checkStamps(o *kv.Op) error {
	switch {
	case o.StampKey == 0 && o.StampValue == 0:
		return nil
	case o.StampKey < 0 || o.StampValue < 0:
		return invalid("stamp offset is negative")
	case o.Kind != kv.Put && (o.Kind != kv.Touch || o.StampValue != 0):
		return invalid("stamp on kind %d", o.Kind)
	case o.StampKey > 0 && !stampFits(o.StampKey, len(o.Key)):
		return invalid("key stamp at %d of %d bytes", o.StampKey-1, len(o.Key))
	case o.StampValue > 0 && !stampFits(o.StampValue, len(o.Value)):
		return invalid("value stamp at %d of %d bytes", o.StampValue-1, len(o.Value))
	}
	if _, n, _ := SplitKey(o.Key); o.StampKey > 0 && int(o.StampKey-1) < n {
		return invalid("key stamp inside the table id")
	}
	return nil
}

func stampFits(offsetPlus1 int32, length int) bool { return int(offsetPlus1)-1+8 <= length }

// checkKey wants a declared table and, unless the key is a prefix, a key in it.
func checkKey(key []byte, name string, prefix bool, tables *Tables) (Table, error) {
	id, n, ok := SplitKey(key)
	switch {
	case !ok || name != "":
		return Table{}, invalid("key is not absolute")
	case len(key)-n > kv.MaxKey:
		return Table{}, fmt.Errorf("key of %d bytes: %w", len(key)-n, kv.ErrTooLarge)
	case len(key) == n && !prefix:
		return Table{}, invalid("empty key")
	}
	table, ok := tables.ByID(id)
	if !ok {
		return Table{}, invalid("table %d is not declared", id)
	}
	return table, nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
