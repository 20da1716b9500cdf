package web

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// NAC-HTP-02: several values are one text, query first; a pair that cannot be
// decoded is dropped.
func TestParams(t *testing.T) {
	for _, c := range []struct{ query, form, want string }{
		{"a=1", "", "1"},
		{"a=1", "a=2", "1,2"},
		{"a=1&a=2&b=3", "", "1,2"},
		{"a=%zz", "a=2", "2"},
		{"a=%ff", "", ""},
		{"a=x+y%2B", "", "x y+"},
		{"a", "", ""},
		{"&&a=1;b&", "", "1;b"},
		{"a=b=c", "", "b=c"},
	} {
		ps, err := params(nil).addEncoded(c.query)
		if err == nil {
			ps, err = ps.addEncoded(c.form)
		}
		if got, _ := ps.get("a"); got != c.want || err != nil {
			t.Errorf("get of %q and %q = %q, %v, want %q", c.query, c.form, got, err, c.want)
		}
	}
	if ps, err := params(nil).addEncoded(strings.Repeat("a&", maxParams+1)); !errors.Is(err, ErrTooLarge) || len(ps) != maxParams {
		t.Errorf("too many = %d, %v, want %d and ErrTooLarge", len(ps), err, maxParams)
	}
	if _, sent := params(nil).get("a"); sent {
		t.Error("get() of nothing = sent, want not sent")
	}
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=%zz&a=%41", "%00=%ff&=&a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ps, err := params(nil).addEncoded(text)
		if len(ps) > maxParams || err == nil && len(ps) > strings.Count(text, "&")+1 {
			t.Fatalf("addEncoded() = %d parameters", len(ps))
		}
		for _, p := range ps {
			if !utf8.ValidString(p.name) || !utf8.ValidString(p.value) {
				t.Errorf("parameter %q = %q, want UTF-8", p.name, p.value)
			}
			// What was decoded survives another round.
			again, err := params(nil).addEncoded(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
			if err != nil || len(again) != 1 || again[0] != p {
				t.Errorf("round of %v = %v, %v", p, again, err)
			}
		}
	})
}
