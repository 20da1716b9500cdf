package tuple

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// ARC-S05: the encoding is on disk, so it must never change.
func TestGolden(t *testing.T) {
	tests := map[string]struct {
		got  []byte
		want string
	}{
		"empty text": {AppendString(nil, ""), "0001"},
		"text":       {AppendString(nil, "ab"), "61620001"},
		"zero byte":  {AppendString(nil, "a\x00b"), "6100ff620001"},
		"two texts":  {AppendString(AppendString(nil, "a"), "b"), "610001620001"},
		"unsigned":   {AppendUint64(nil, 258), "0000000000000102"},
		"signed":     {AppendInt64(nil, -1), "7fffffffffffffff"},
		"zero":       {AppendInt64(nil, 0), "8000000000000000"},
	}
	for name, tt := range tests {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s = %s, want %s", name, got, tt.want)
		}
	}
}

func TestOrder(t *testing.T) {
	texts := []string{"", "\x00", "\x00\x00", "\x00a", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\xff"}
	for _, a := range texts {
		for _, b := range texts {
			got := bytes.Compare(AppendString(nil, a), AppendString(nil, b))
			if want := cmp.Compare(a, b); got != want {
				t.Errorf("order of %q and %q = %d, want %d", a, b, got, want)
			}
		}
	}
	numbers := []int64{math.MinInt64, -2, -1, 0, 1, 2, math.MaxInt64}
	for i := range numbers[1:] {
		if bytes.Compare(AppendInt64(nil, numbers[i]), AppendInt64(nil, numbers[i+1])) >= 0 {
			t.Errorf("encoding of %d is not below that of %d", numbers[i], numbers[i+1])
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, b := range [][]byte{{'a'}, {0}, {'a', 0}, {'a', 0, 2}} {
		if _, _, err := String(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("String(%x) = %v, want ErrMalformed", b, err)
		}
	}
	if _, _, err := Uint64(make([]byte, 7)); !errors.Is(err, ErrMalformed) {
		t.Errorf("Uint64() of 7 bytes = %v, want ErrMalformed", err)
	}
}

// A tuple of texts keeps the order of its parts, and comes back.
func FuzzStrings(f *testing.F) {
	f.Add("a", "b", "a", "c")
	f.Add("", "\x00", "\x00", "")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		a, b := []string{a1, a2}, []string{b1, b2}
		ka, kb := AppendString(AppendString(nil, a1), a2), AppendString(AppendString(nil, b1), b2)
		if got, want := bytes.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Errorf("order of %q and %q = %d, want %d", a, b, got, want)
		}
		back, err := Strings(ka)
		if err != nil || !slices.Equal(back, a) {
			t.Errorf("Strings(encode(%q)) = %q, %v", a, back, err)
		}
		_, _ = Strings([]byte(a1)) // hostile bytes must not panic
	})
}

func TestAllocations(t *testing.T) {
	buf := make([]byte, 0, 128)
	s := strings.Repeat("x", 50)
	if n := testing.AllocsPerRun(100, func() { buf = AppendString(buf[:0], s) }); n != 0 {
		t.Errorf("AppendString() = %v allocations, want 0", n)
	}
}
