package fsm

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/kv"
)

// commandGen draws commands that have one encoding: empty slices are nil.
func commandGen() *rapid.Generator[Command] {
	return rapid.Custom(func(t *rapid.T) Command {
		c := Command{ID: rapid.Uint64().Draw(t, "id")}
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			c.Declare = &Declare{
				Owner: rapid.String().Draw(t, "owner"),
				Tables: orNil(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) kv.TableSpec {
					return kv.TableSpec{Name: rapid.String().Draw(t, "name"), Residency: kv.Residency(rapid.Byte().Draw(t, "residency"))}
				}), 0, 4).Draw(t, "tables")),
			}
			return c
		}
		compares := rapid.SliceOfN(compareGen(), 0, 3)
		ops := rapid.SliceOfN(opGen(), 0, 4)
		c.Txn = &Txn{
			Guards: orNil(compares.Draw(t, "guards")), If: orNil(compares.Draw(t, "if")),
			Then: orNil(ops.Draw(t, "then")), Else: orNil(ops.Draw(t, "else")),
		}
		return c
	})
}

func compareGen() *rapid.Generator[kv.Compare] {
	return rapid.Custom(func(t *rapid.T) kv.Compare {
		c := kv.Compare{
			Key:    orNil(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "key")),
			Target: kv.Target(rapid.Byte().Draw(t, "target")),
			Rel:    kv.Relation(rapid.Byte().Draw(t, "rel")),
		}
		if c.Target == kv.Value {
			c.Bytes = orNil(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
		} else {
			c.Num = rapid.Uint64().Draw(t, "num")
		}
		return c
	})
}

func opGen() *rapid.Generator[kv.Op] {
	return rapid.Custom(func(t *rapid.T) kv.Op {
		return kv.Op{
			Kind:       kv.Kind(rapid.Byte().Draw(t, "kind")),
			Key:        orNil(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "key")),
			Value:      orNil(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "value")),
			Lease:      kv.LeaseID(rapid.Uint64().Draw(t, "lease")),
			TTL:        time.Duration(rapid.Int64Range(0, math.MaxInt64/int64(time.Millisecond)).Draw(t, "ttl")) * time.Millisecond,
			Delta:      rapid.Int64().Draw(t, "delta"),
			Min:        rapid.Int64().Draw(t, "min"),
			Max:        rapid.Int64().Draw(t, "max"),
			SkipEqual:  rapid.Bool().Draw(t, "skip"),
			IfChanged:  rapid.Bool().Draw(t, "changed"),
			StampKey:   rapid.Int32Range(0, math.MaxInt32).Draw(t, "stamp key"),
			StampValue: rapid.Int32Range(0, math.MaxInt32).Draw(t, "stamp value"),
			Seq:        rapid.Uint16().Draw(t, "seq"),
		}
	})
}

func orNil[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// same compares commands and takes nil and empty slices for equal.
func same(a, b *Command) bool {
	norm := func(c *Command) Command {
		if c.Txn == nil {
			return *c
		}
		t := Txn{Guards: orNil(c.Txn.Guards), If: orNil(c.Txn.If), Then: orNil(c.Txn.Then), Else: orNil(c.Txn.Else)}
		return Command{ID: c.ID, Txn: &t}
	}
	return reflect.DeepEqual(norm(a), norm(b))
}

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commands := rapid.SliceOfN(commandGen(), 1, 4).Draw(t, "commands")
		entry := AppendHeader(nil)
		for i := range commands {
			n := len(entry)
			entry = AppendCommand(entry, &commands[i])
			if got, want := Size(&commands[i]), len(entry)-n; got != want {
				t.Fatalf("Size() = %d, want %d", got, want)
			}
		}
		var d Decoder
		if err := d.Reset(entry); err != nil {
			t.Fatalf("Reset() = %v", err)
		}
		for i := range commands {
			got, err := d.Next()
			if err != nil || !same(&got, &commands[i]) {
				t.Fatalf("Next() = %+v, %v, want %+v", got, err, commands[i])
			}
		}
		if d.More() {
			t.Fatal("More() = true behind the last command")
		}
	})
}

func TestDecoderReset(t *testing.T) {
	tests := map[string]struct {
		entry []byte
		want  error
	}{
		"empty":        {nil, ErrMalformed},
		"zero":         {[]byte{0}, ErrMalformed},
		"no commands":  {[]byte{entryFormat}, nil},
		"newer format": {[]byte{entryFormat + 1, 1, 2}, ErrFormat},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			if err := d.Reset(tt.entry); !errors.Is(err, tt.want) {
				t.Errorf("Reset(%x) = %v, want %v", tt.entry, err, tt.want)
			}
		})
	}
}

// A command that cannot be read is refused alone: its length tells where the
// next one starts.
func TestDecoderGoesOnBehindMalformedCommand(t *testing.T) {
	good := Command{ID: 7, Txn: &Txn{Then: []kv.Op{{Kind: kv.Put, Key: []byte("k")}}}}
	entry := AppendHeader(nil)
	entry = append(entry, idSize+1, 0, 0, 0, 0, 0, 0, 0, 5, 99)
	entry = AppendCommand(entry, &good)
	var d Decoder
	if err := d.Reset(entry); err != nil {
		t.Fatal(err)
	}
	if c, err := d.Next(); !errors.Is(err, ErrMalformed) || c.ID != 5 {
		t.Errorf("Next() = %d, %v, want 5, %v", c.ID, err, ErrMalformed)
	}
	if c, err := d.Next(); err != nil || !same(&c, &good) {
		t.Errorf("Next() = %+v, %v, want %+v", c, err, good)
	}
}

// ARC-L08: hostile bytes never panic, never allocate more than they are worth,
// and what decodes encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	for _, c := range []Command{
		{ID: 1, Txn: &Txn{}},
		{ID: 2, Declare: &Declare{Owner: "core", Tables: []kv.TableSpec{{Name: "t", Residency: kv.Hot}}}},
		{ID: 3, Txn: &Txn{
			Guards: []kv.Compare{{Key: []byte("\x10k"), Target: kv.Newest, Rel: kv.AtMost, Num: 5}},
			If:     []kv.Compare{{Key: []byte("\x10k"), Target: kv.Value, Rel: kv.Equal, Bytes: []byte("v")}},
			Then: []kv.Op{
				{Kind: kv.Put, Key: []byte("\x1012345678"), Value: []byte("v"), StampKey: 2, Lease: 9, SkipEqual: true},
				{Kind: kv.Grant, Lease: 9, TTL: time.Second},
			},
			Else: []kv.Op{{Kind: kv.Add, Key: []byte("\x10n"), Delta: -1, Min: -10, Max: 10, IfChanged: true, Seq: 3}},
		}},
	} {
		f.Add(AppendCommand(AppendHeader(nil), &c))
	}
	f.Add([]byte{entryFormat, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{entryFormat, 15, 0, 0, 0, 0, 0, 0, 0, 0, kindTxn, 0, 0, 0xff, 0x1f, 0})
	f.Fuzz(func(t *testing.T, entry []byte) {
		m := testMachine(t)
		var d, again Decoder
		if d.Reset(entry) != nil {
			return
		}
		for d.More() {
			c, err := d.Next()
			if err != nil {
				continue
			}
			bytes := AppendCommand(AppendHeader(nil), &c)
			if err := again.Reset(bytes); err != nil {
				t.Fatalf("Reset(%x) = %v", bytes, err)
			}
			got, err := again.Next()
			if err != nil || !same(&got, &c) {
				t.Fatalf("decoded %+v, then %+v, %v", c, got, err)
			}
			before := m.Revision()
			out, err := m.Apply(&c) // FLT-01: apply is total
			if err != nil {
				t.Fatalf("Apply(%+v) = %v", c, err)
			}
			if out.Err != nil && m.Revision() != before {
				t.Fatalf("Apply(%+v) moved the revision and returned %v", c, out.Err)
			}
		}
	})
}

func TestDecodeBoundsAllocation(t *testing.T) {
	// A transaction that announces as many ops as are allowed, in few bytes.
	entry := []byte{entryFormat, 14, 0, 0, 0, 0, 0, 0, 0, 0, kindTxn, 0, 0, 0xff, 0x1f, 0}
	var d Decoder
	if err := d.Reset(entry); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); !errors.Is(err, ErrMalformed) {
		t.Errorf("Next() = %v, want %v", err, ErrMalformed)
	}
	if cap(d.ops) != 0 {
		t.Errorf("Next() made room for %d ops, want none", cap(d.ops))
	}
}

func TestCommandsJoin(t *testing.T) {
	a := Command{ID: 1, Txn: &Txn{Then: []kv.Op{{Kind: kv.Delete, Key: []byte("\x10a")}}}}
	b := Command{ID: 2, Txn: &Txn{Then: []kv.Op{{Kind: kv.Delete, Key: []byte("\x10b")}}}}
	apart := append(AppendHeader(nil), append(AppendCommand(nil, &a), AppendCommand(nil, &b)...)...)
	together := AppendCommand(AppendCommand(AppendHeader(nil), &a), &b)
	if !bytes.Equal(apart, together) {
		t.Errorf("joined commands = %x, want %x", apart, together)
	}
}
