package fsm

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/easynet-cn/batata/core/kv"
)

// Decoder reads the commands of entries. It reuses its memory: a Command is
// valid until the next call, its byte slices as long as the entry.
type Decoder struct {
	rest     []byte
	compares []kv.Compare
	ops      []kv.Op
	txn      Txn
	declare  Declare
}

// Reset starts with an entry, whatever is left of the one before. It returns
// ErrFormat for a newer format and ErrMalformed for an entry without one.
func (d *Decoder) Reset(entry []byte) error {
	d.rest = nil
	switch {
	case len(entry) == 0 || entry[0] == 0:
		return ErrMalformed
	case entry[0] > entryFormat:
		return fmt.Errorf("%w: %d, this build knows %d", ErrFormat, entry[0], entryFormat)
	}
	d.rest = entry[1:]
	return nil
}

// More reports whether the entry holds another command.
func (d *Decoder) More() bool { return len(d.rest) > 0 }

// Next reads one command. After ErrMalformed the command's ID is set if it could
// be read, and More tells whether reading can go on behind it.
func (d *Decoder) Next() (Command, error) {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)-size) || n <= idSize {
		d.rest = nil
		return Command{}, ErrMalformed
	}
	body := reader{b: d.rest[size : size+int(n)]}
	d.rest = d.rest[size+int(n):]
	c := Command{ID: binary.BigEndian.Uint64(body.take(idSize))}
	switch body.byte() {
	case kindTxn:
		d.readTxn(&body)
		c.Txn = &d.txn
	case kindDeclare:
		d.readDeclare(&body)
		c.Declare = &d.declare
	default:
		body.bad = true
	}
	if body.bad || len(body.b) != 0 {
		return Command{ID: c.ID}, ErrMalformed
	}
	return c, nil
}

func (d *Decoder) readTxn(r *reader) {
	var counts [4]int
	total := 0
	for i := range counts {
		counts[i] = int(r.uvarintMax(kv.MaxCompiled))
		total += counts[i]
	}
	// Nothing is shorter than three bytes: bounds what is allocated by what is
	// there.
	if total > kv.MaxCompiled || total*3 > len(r.b) {
		r.bad = true
		return
	}
	d.compares, d.ops = d.compares[:0], d.ops[:0]
	for range counts[0] + counts[1] {
		d.compares = append(d.compares, readCompare(r))
	}
	for range counts[2] + counts[3] {
		d.ops = append(d.ops, readOp(r))
	}
	d.txn = Txn{
		Guards: d.compares[:counts[0]], If: d.compares[counts[0]:],
		Then: d.ops[:counts[2]], Else: d.ops[counts[2]:],
	}
}

func readCompare(r *reader) kv.Compare {
	c := kv.Compare{Target: kv.Target(r.byte()), Rel: kv.Relation(r.byte()), Key: r.bytes()}
	if c.Target == kv.Value {
		c.Bytes = r.bytes()
	} else {
		c.Num = r.uvarint()
	}
	return c
}

func readOp(r *reader) kv.Op {
	o := kv.Op{Kind: kv.Kind(r.byte())}
	flags := r.uvarintMax(knownFlags)
	o.Key = r.bytes()
	if flags&hasValue != 0 {
		o.Value = r.bytes()
	}
	if flags&hasLease != 0 {
		o.Lease = kv.LeaseID(r.uvarint())
	}
	if flags&hasTTL != 0 {
		o.TTL = time.Duration(r.uvarintMax(math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
	}
	if flags&hasAdd != 0 {
		o.Delta, o.Min, o.Max = r.varint(), r.varint(), r.varint()
	}
	if flags&hasStampKey != 0 {
		o.StampKey = int32(r.uvarintMax(math.MaxInt32))
	}
	if flags&hasStampValue != 0 {
		o.StampValue = int32(r.uvarintMax(math.MaxInt32))
	}
	if flags&hasSeq != 0 {
		o.Seq = uint16(r.uvarintMax(math.MaxUint16))
	}
	o.SkipEqual = flags&skipEqual != 0
	o.IfChanged = flags&ifChanged != 0
	return o
}

func (d *Decoder) readDeclare(r *reader) {
	d.declare = Declare{Owner: string(r.bytes())}
	n := int(r.uvarintMax(MaxTables))
	if n*2 > len(r.b) {
		r.bad = true
		return
	}
	for range n {
		d.declare.Tables = append(d.declare.Tables,
			kv.TableSpec{Name: string(r.bytes()), Residency: kv.Residency(r.byte())})
	}
}

// reader takes values off bytes. After the first one that is not there it is bad
// and yields zeros.
type reader struct {
	b   []byte
	bad bool
}

// take wants n bytes to be there.
func (r *reader) take(n int) []byte {
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	if n == 0 {
		return nil
	}
	return r.take(int(n))
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarintMax(most uint64) uint64 {
	v := r.uvarint()
	if v > most {
		r.bad = true
		return 0
	}
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}
