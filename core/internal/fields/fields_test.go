package fields

import (
	"math"
	"testing"
)

func TestRound(t *testing.T) {
	var w Writer
	w.Text(1, "text")
	w.Text(2, "")
	w.Texts(3, []string{"", "b"})
	w.Number(4, -5)
	w.Float(5, math.Copysign(0, -1))
	w.Flag(6, true)
	w.Bytes(7, []byte("x"))
	w.Pair(8, "k", "")
	var got []Field
	if err := Each(w.B, func(f Field) error { got = append(got, f); return nil }); err != nil {
		t.Fatalf("Each() = %v", err)
	}
	if len(got) != 8 {
		t.Fatalf("Each() = %d fields, want 8: blank texts count in lists only", len(got))
	}
	key, value, err := got[7].Pair()
	if got[0].Text() != "text" || got[2].Text() != "b" || got[3].Num != -5 || !math.Signbit(got[4].Float()) ||
		got[5].Num != 1 || string(got[6].Bytes) != "x" || key != "k" || value != "" || err != nil {
		t.Errorf("Each() = %+v, %s=%s %v", got, key, value, err)
	}
	for n := range w.B {
		_ = Each(w.B[:n], func(Field) error { return nil }) // must not panic
	}
	for name, b := range map[string][]byte{"cut tag": {0x80}, "cut text": {10, 5, 'x'}, "cut float": {9, 1}, "group": {11}, "cut number": {8, 0x80}} {
		if err := Each(b, func(Field) error { return nil }); err == nil {
			t.Errorf("Each(%s) = nil error", name)
		}
	}
}
