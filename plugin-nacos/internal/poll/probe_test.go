package poll

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// NAC-H1C-30, 31: lines are read after one more decoding; what cannot be read is
// refused.
func TestParseProbe(t *testing.T) {
	for _, c := range []struct {
		text string
		want []Line
	}{
		{"a\x02g\x02m\x01", []Line{{DataID: "a", Group: "g", MD5: "m"}}},
		{"a\x02g\x02\x02t\x01b\x02g\x02\x01", []Line{{DataID: "a", Group: "g", Tenant: "t"}, {DataID: "b", Group: "g"}}},
		{"a%2Db\x02g\x02m\x01", []Line{{DataID: "a-b", Group: "g", MD5: "m"}}},
		{"a\x02g\x02m\x01rest", []Line{{DataID: "a", Group: "g", MD5: "m"}}},
	} {
		got, err := ParseProbe(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseProbe(%q) = %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"", " ", "x", "a\x02g\x01", "a\x02g\x02m\x02t\x02u\x01", "%zz\x02g\x02m\x01", strings.Repeat("a\x02g\x02\x01", maxLines+1)} {
		if got, err := ParseProbe(bad); !errors.Is(err, ErrProbe) {
			t.Errorf("ParseProbe(%.40q) = %v, %v, want ErrProbe", bad, got, err)
		}
	}
}

// FUZ-02: any text is refused or read, and what was read is told back in a form
// that decodes to it.
func FuzzParseProbe(f *testing.F) {
	for _, seed := range []string{"a\x02g\x02m\x01", "a\x02g\x02m\x02t\x01b\x02\x02\x01", "%61\x02+\x02\x01", "\x01\x01", "\x02\x02\x02\x01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := ParseProbe(text)
		if err != nil {
			return
		}
		for i := range lines {
			l := &lines[i]
			told, err := url.QueryUnescape(string(AppendChanged(nil, l)))
			want := l.DataID + wordEnd + l.Group
			if l.Tenant != "" {
				want += wordEnd + l.Tenant
			}
			if err != nil || told != want+lineEnd {
				t.Errorf("line %+v is told as %q, %v", *l, told, err)
			}
		}
	})
}
