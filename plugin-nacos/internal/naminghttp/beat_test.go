package naminghttp

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// NAC-H1N-20, 22: what a beat names and describes, and what it is refused for.
func TestReadBeat(t *testing.T) {
	for full, want := range map[string]naming.Beat{
		"": {IP: "1.1.1.1", Port: 1, Cluster: "c"},
		`{"ip":"10.0.0.1","port":80,"cluster":"d"}`: {IP: "10.0.0.1", Port: 80, Cluster: "d"},
		`{"port":"80"}`: {IP: "1.1.1.1", Port: 80, Cluster: "c"},
		`{"ip":"","port":null,"cluster":null,"x":[{}]}`:   {IP: "1.1.1.1", Port: 1, Cluster: "c"},
		`{"ip":5,"cluster":{"ip":"9.9.9.9"},"port":81.0}`: {IP: "1.1.1.1", Port: 81, Cluster: "c"},
	} {
		got, err := readBeat(naming.Beat{IP: "1.1.1.1", Cluster: "c"}, "1", full)
		if err != nil || got != want {
			t.Errorf("readBeat(%s) = %v, %v, want %v", full, got, err, want)
		}
	}
	for full, want := range map[string]naming.Reason{
		"{bad":                           naming.BadBeat,
		"[]":                             naming.BadBeat,
		"5":                              naming.BadBeat,
		`{"ip":"a"}x`:                    naming.BadBeat,
		strings.Repeat(`{"a":`, 100_000): naming.BadBeat,
		`{"ip":"a b"}`:                   naming.BadFormat,
		`{"ip":"主机"}`:                    naming.BadFormat,
		`{"port":65536}`:                 naming.BadFormat,
		`{"port":-1}`:                    naming.BadFormat,
		`{"port":80.5}`:                  naming.BadFormat,
		`{"port":"x"}`:                   naming.BadFormat,
		`{"cluster":"a,b"}`:              naming.BadFormat,
	} {
		if _, err := readBeat(naming.Beat{IP: "1.1.1.1"}, "1", full); !errors.Is(err, &naming.Error{Reason: want}) {
			t.Errorf("readBeat(%.40s) = %v, want reason %d", full, err, want)
		}
	}
}

func TestBeatInstance(t *testing.T) {
	b := naming.Beat{IP: "10.0.0.1", Port: 80}
	in, err := beatInstance(b, `{"weight":2.5,"metadata":{"k":"v","n":1}}`)
	if err != nil || in.Weight != 2.5 || !in.Healthy || !in.Enabled || !slices.Equal(in.Metadata, metadata("k", "v", "n", "1")) {
		t.Errorf("beatInstance() = %+v, %v, want weight 2.5 and its metadata", in, err)
	}
	if in, err = beatInstance(b, `{"metadata":null}`); err != nil || in.Weight != 0 || in.Metadata != nil {
		t.Errorf("beatInstance() of little = %+v, %v, want weight 0", in, err)
	}
	for full, want := range map[string]naming.Reason{
		`{"weight":-1}`:         naming.BadWeight,
		`{"weight":1e300}`:      naming.BadWeight,
		`{"metadata":[]}`:       naming.BadBeat,
		`{"metadata":"k=v"}`:    naming.BadBeat,
		`{"metadata":{"a":{}}}`: naming.BadBeat,
		`{"metadata":{"k":"` + strings.Repeat("v", 1024) + `"}}`: naming.BadFormat,
	} {
		if _, err := beatInstance(b, full); !errors.Is(err, &naming.Error{Reason: want}) {
			t.Errorf("beatInstance(%.40s) = %v, want reason %d", full, err, want)
		}
	}
	var missing *web.MissingError
	if _, err := beatInstance(naming.Beat{}, "{}"); !errors.As(err, &missing) || missing.Name != "ip" {
		t.Errorf("beatInstance() without an address = %v, want ip missing", err)
	}
}

// NAC-H1N-07, 24: the answer, byte for byte.
func TestAppendBeaten(t *testing.T) {
	for want, b := range map[string]naming.Beaten{
		`{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}`: {Known: true, Interval: 5000},
		`{"clientBeatInterval":2000,"code":20404,"lightBeatEnabled":true}`: {Interval: 2000},
	} {
		if got := string(appendBeaten(nil, b)); got != want {
			t.Errorf("appendBeaten(%v) = %s, want %s", b, got, want)
		}
	}
}

// FUZ-03: whatever a beat holds, what is read passes the parameter check, and
// reads the same when it is written again.
func FuzzBeat(f *testing.F) {
	for _, seed := range []struct{ ip, port, full string }{
		{"10.0.0.1", "80", ""},
		{"", "", ""},
		{"1.1.1.1", "1", `{"ip":"10.0.0.1","port":80,"weight":1.0,"serviceName":"g@@s","cluster":"c","metadata":{"m":"1"},"scheduled":true,"period":5000,"stopped":false}`},
		{"", "", `{"ip":"::1","port":"08","metadata":{"a":1e5,"b":null}}`},
		{"", "x", `{"port":1e2}`},
		{"", "", `{"ip":"\u0041","metadata":{"\ud800":"\"}"}}`},
		{"", "", "{bad"},
	} {
		f.Add(seed.ip, seed.port, seed.full)
	}
	f.Fuzz(func(t *testing.T, ip, port, full string) {
		if !utf8.ValidString(full) || naming.CheckFormat(&naming.Names{IP: ip, Port: port}) != nil {
			return // refused before
		}
		b, err := readBeat(naming.Beat{IP: ip}, port, full)
		if err != nil {
			return
		}
		if strings.ContainsFunc(b.IP+b.Cluster, unicode.IsSpace) {
			t.Fatalf("readBeat(%q, %q, %q) = %+v, want no blanks", ip, port, full, b)
		}
		in, err := beatInstance(b, full)
		if err != nil {
			return
		}
		written, err := json.Marshal(map[string]any{
			"ip": in.IP, "port": in.Port, "cluster": in.Cluster, "weight": in.Weight, "metadata": object(in.Metadata),
		})
		if err != nil {
			t.Fatalf("Marshal(%+v) = %v", in, err)
		}
		again, err := readBeat(naming.Beat{}, "", string(written))
		if err != nil || again != b {
			t.Fatalf("round of %+v = %+v, %v", b, again, err)
		}
		in2, err := beatInstance(again, string(written))
		if err != nil || in2.Weight != in.Weight || !slices.Equal(in2.Metadata, in.Metadata) {
			t.Errorf("round of %+v = %+v, %v", in, in2, err)
		}
	})
}
