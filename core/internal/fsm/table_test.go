package fsm

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// ARC-S07: ids are handed out once, in order, and stay.
func TestDeclare(t *testing.T) {
	m := NewMachine(noDisk{})
	declare := func(owner string, specs ...kv.TableSpec) error {
		out, err := m.Apply(&Command{Declare: &Declare{Owner: owner, Tables: specs}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Err
	}
	one, two := kv.TableSpec{Name: "one", Residency: kv.Hot}, kv.TableSpec{Name: "two", Residency: kv.Cold}
	steps := []struct {
		owner string
		specs []kv.TableSpec
		want  error
		added int
	}{
		{"a", []kv.TableSpec{one, two}, nil, 2},
		{"b", []kv.TableSpec{one}, nil, 1},
		{"a", []kv.TableSpec{two, one}, nil, 0},
		{"a", []kv.TableSpec{{Name: "three", Residency: kv.Hot}, {Name: "one", Residency: kv.Cold}}, ErrInvalid, 0},
		{"c", []kv.TableSpec{one, one}, nil, 1},
		{"c", []kv.TableSpec{two, {Name: "two", Residency: kv.Hot}}, ErrInvalid, 0},
		{"", []kv.TableSpec{one}, ErrInvalid, 0},
		{"A", []kv.TableSpec{one}, ErrInvalid, 0},
		{"a", []kv.TableSpec{{Name: "x"}}, ErrInvalid, 0},
		{"a", []kv.TableSpec{{Name: strings.Repeat("x", MaxTableName+1), Residency: kv.Hot}}, ErrInvalid, 0},
	}
	for _, s := range steps {
		if err := declare(s.owner, s.specs...); !errors.Is(err, s.want) || len(m.Declared()) != s.added {
			t.Errorf("declare(%s, %v) = %v with %d tables, want %v and %d", s.owner, s.specs, err, len(m.Declared()), s.want, s.added)
		}
	}
	want := []Table{
		{ID: 16, Owner: "a", Name: "one", Residency: kv.Hot},
		{ID: 17, Owner: "a", Name: "two", Residency: kv.Cold},
		{ID: 18, Owner: "b", Name: "one", Residency: kv.Hot},
		{ID: 19, Owner: "c", Name: "one", Residency: kv.Hot},
	}
	if got := m.Tables().All(); !reflect.DeepEqual(got, want) {
		t.Errorf("All() = %v, want %v", got, want)
	}
	if got, ok := m.Tables().ByName("b", "one"); !ok || got.ID != 18 {
		t.Errorf("ByName(b, one) = %v, %v", got, ok)
	}
	if _, ok := m.Tables().ByID(20); ok {
		t.Error("ByID(20) = true")
	}
	if m.Revision() != 0 {
		t.Errorf("Revision() = %d, want 0", m.Revision())
	}
}

func TestDeclareBounded(t *testing.T) {
	m := NewMachine(noDisk{})
	var specs []kv.TableSpec
	for i := range MaxTables {
		specs = append(specs, kv.TableSpec{Name: fmt.Sprintf("t%d", i), Residency: kv.Hot})
	}
	out, _ := m.Apply(&Command{Declare: &Declare{Owner: "a", Tables: specs[:1000]}})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	m.LoadTables(Table{ID: MaxTables - 1, Owner: "b", Name: "last", Residency: kv.Hot})
	if out, _ = m.Apply(&Command{Declare: &Declare{Owner: "c", Tables: specs[:1]}}); !errors.Is(out.Err, kv.ErrTooLarge) {
		t.Errorf("declare of too many = %v, want %v", out.Err, kv.ErrTooLarge)
	}
}

func TestSplitKey(t *testing.T) {
	for _, id := range []TableID{1, 127, 128, MaxTables - 1} {
		abs := AppendKey(nil, id, []byte("k"))
		if got, n, ok := SplitKey(abs); got != id || n != KeyOffset(id) || !ok {
			t.Errorf("SplitKey(%x) = %d, %d, %v, want %d, %d", abs, got, n, ok, id, KeyOffset(id))
		}
	}
	for _, abs := range []string{"", "\x00k", "\x90\x00k", "\x80\x80\x01k", "\xff"} {
		if id, n, ok := SplitKey([]byte(abs)); ok {
			t.Errorf("SplitKey(%x) = %d, %d, want none", abs, id, n)
		}
	}
}

// CTR-B10, ARC-S12: limits hold before anything is proposed.
func TestValidate(t *testing.T) {
	m := testMachine(t)
	big := make([]byte, kv.MaxValue+1)
	long := string(make([]byte, kv.MaxKey+1))
	cmp := func(key []byte, target kv.Target, rel kv.Relation) *Txn {
		return &Txn{If: []kv.Compare{{Key: key, Target: target, Rel: rel}}}
	}
	tests := map[string]struct {
		txn  *Txn
		want error
	}{
		"empty":              {&Txn{}, nil},
		"longest key":        {then(put(long[1:], "")), nil},
		"largest value":      {then(kv.Op{Kind: kv.Put, Key: hot("a"), Value: big[1:]}), nil},
		"key too long":       {then(put(long, "")), kv.ErrTooLarge},
		"value too large":    {then(kv.Op{Kind: kv.Put, Key: hot("a"), Value: big}), kv.ErrTooLarge},
		"compared too large": {&Txn{If: []kv.Compare{{Key: hot("a"), Target: kv.Value, Rel: kv.Equal, Bytes: big}}}, kv.ErrTooLarge},
		"command too large":  {then(kv.Op{Kind: kv.Put, Key: hot("a"), Value: big[1:]}, kv.Op{Kind: kv.Put, Key: hot("b"), Value: big[:3<<20]}), kv.ErrTooLarge},
		"too many ops":       {&Txn{If: make([]kv.Compare, 2000), Else: make([]kv.Op, kv.MaxCompiled-1999)}, kv.ErrTooLarge},
		"no key":             {then(put("", "")), ErrInvalid},
		"no table":           {then(kv.Op{Kind: kv.Put}), ErrInvalid},
		"unknown table":      {then(kv.Op{Kind: kv.Put, Key: AppendKey(nil, 99, []byte("k"))}), ErrInvalid},
		"lease table":        {then(kv.Op{Kind: kv.Put, Key: LeaseKey(1)}), ErrInvalid},
		"named table":        {then(kv.Op{Kind: kv.Put, Table: "t", Key: hot("a")}), ErrInvalid},
		"no kind":            {then(kv.Op{Key: hot("a")}), ErrInvalid},
		"unknown kind":       {then(kv.Op{Kind: kv.Revoke + 1, Key: hot("a")}), ErrInvalid},
		"unknown target":     {cmp(hot("a"), kv.Newest+1, kv.Equal), ErrInvalid},
		"unknown relation":   {cmp(hot("a"), kv.Value, kv.AtLeast+1), ErrInvalid},
		"compare no key":     {cmp(hot(""), kv.Value, kv.Equal), ErrInvalid},
		"newest of table":    {cmp(hot(""), kv.Newest, kv.Equal), nil},
		"newest of cold":     {cmp(cold("a"), kv.Newest, kv.Equal), ErrInvalid},
		"lease of cold":      {cmp(cold("a"), kv.Lease, kv.Equal), ErrInvalid},
		"value of cold":      {cmp(cold("a"), kv.Value, kv.Equal), nil},
		"guard":              {&Txn{Guards: []kv.Compare{{Key: hot("a")}}}, ErrInvalid},
		"delete table":       {then(kv.Op{Kind: kv.DeletePrefix, Key: cold("")}), nil},
		"cold touch":         {then(kv.Op{Kind: kv.Touch, Key: cold("a")}), ErrInvalid},
		"cold add":           {then(kv.Op{Kind: kv.Add, Key: cold("a")}), ErrInvalid},
		"count table":        {then(kv.Op{Kind: Count, Key: hot("n"), Value: hot("")}), nil},
		"count into cold":    {then(kv.Op{Kind: Count, Key: cold("n"), Value: hot("")}), ErrInvalid},
		"count cold":         {then(kv.Op{Kind: Count, Key: hot("n"), Value: cold("")}), ErrInvalid},
		"count nothing":      {then(kv.Op{Kind: Count, Key: hot("n")}), ErrInvalid},
		"count stamped":      {then(kv.Op{Kind: Count, Key: hot("n"), Value: hot("12345678"), StampValue: 2}), ErrInvalid},
		"cold lease":         {then(kv.Op{Kind: kv.Put, Key: cold("a"), Lease: 1}), ErrInvalid},
		"bounds":             {then(kv.Op{Kind: kv.Add, Key: hot("a"), Min: 1}), ErrInvalid},
		"grant":              {then(kv.Op{Kind: kv.Grant, Lease: 1, TTL: 1}), nil},
		"grant nothing":      {then(kv.Op{Kind: kv.Grant, TTL: 1}), ErrInvalid},
		"grant no time":      {then(kv.Op{Kind: kv.Grant, Lease: 1}), ErrInvalid},
		"grant for ever":     {then(kv.Op{Kind: kv.Grant, Lease: 1, TTL: 1<<63 - 1}), ErrInvalid},
		"grant wide":         {then(kv.Op{Kind: kv.Grant, Lease: 1 << 63, TTL: 1}), ErrInvalid},
		"revoke nothing":     {then(kv.Op{Kind: kv.Revoke}), ErrInvalid},
		"stamp fits":         {then(kv.Op{Kind: kv.Put, Key: hot("12345678"), StampKey: 2}), nil},
		"stamp on table id":  {then(kv.Op{Kind: kv.Put, Key: hot("12345678"), StampKey: 1}), ErrInvalid},
		"stamp beyond key":   {then(kv.Op{Kind: kv.Put, Key: hot("12345678"), StampKey: 3}), ErrInvalid},
		"stamp beyond value": {then(kv.Op{Kind: kv.Put, Key: hot("a"), Value: make([]byte, 8), StampValue: 2}), ErrInvalid},
		"stamp negative":     {then(kv.Op{Kind: kv.Put, Key: hot("12345678"), StampKey: -1}), ErrInvalid},
		"stamp on delete":    {then(kv.Op{Kind: kv.Delete, Key: hot("12345678"), StampKey: 2}), ErrInvalid},
		"touch value stamp":  {then(kv.Op{Kind: kv.Touch, Key: hot("a"), Value: make([]byte, 8), StampValue: 1}), ErrInvalid},
		"else":               {&Txn{Else: []kv.Op{{}}}, ErrInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := Validate(tt.txn, m.Tables())
			if !errors.Is(err, tt.want) {
				t.Errorf("Validate() = %v, want %v", err, tt.want)
			}
			if len(tt.txn.If) > 1000 || name == "command too large" {
				return
			}
			// FLT-01: apply gives the same answer and goes on.
			if out := apply(t, m, tt.txn); (out.Err == nil) != (err == nil) {
				t.Errorf("Apply() = %v, Validate() = %v", out.Err, err)
			}
		})
	}
}
