package naming

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// NAD-GEN-41, 43..48, NAC-ERR-08: the texts of the parameter check.
func TestCheckFormat(t *testing.T) {
	const (
		characters = "Param '%' is illegal, illegal characters should not appear in the param."
		length     = "Param '%' is illegal, the param length should not exceed #."
	)
	illegal := func(name string) string { return strings.ReplaceAll(characters, "%", name) }
	long := func(name, n string) string { return strings.NewReplacer("%", name, "#", n).Replace(length) }
	port := "Param 'port' is illegal, the value should be between 0 and 65535."
	for name, tt := range map[string]struct {
		names Names
		want  string
	}{
		"nothing":               {Names{}, ""},
		"all at their limit":    {Names{Namespace: strings.Repeat("n", 64), Group: strings.Repeat("g", 128), Service: strings.Repeat("s", 512), Cluster: strings.Repeat("c", 64), IP: strings.Repeat("i", 128), Port: "65535"}, ""},
		"namespace":             {Names{Namespace: "a b"}, illegal("namespaceId/tenant")},
		"long namespace":        {Names{Namespace: strings.Repeat("n", 65)}, long("namespaceId/tenant", "64")},
		"group":                 {Names{Group: "a/b"}, illegal("group")},
		"group of a Java":       {Names{Group: "a.b:c-d_e"}, ""},
		"long group":            {Names{Group: strings.Repeat("g", 129)}, long("group", "128")},
		"service with a slash":  {Names{Service: "gold/nerr"}, ""},
		"service with a blank":  {Names{Service: "bad name"}, illegal("serviceName")},
		"service in Chinese":    {Names{Service: "服务"}, illegal("serviceName")},
		"grouped service":       {Names{Service: "G@@s"}, illegal("serviceName")},
		"service begins with @": {Names{Service: "@s"}, illegal("serviceName")},
		"service with one @":    {Names{Service: "a@b"}, ""},
		"long service":          {Names{Service: strings.Repeat("s", 513)}, long("serviceName", "512")},
		"cluster":               {Names{Cluster: "a b"}, illegal("cluster")},
		"two clusters":          {Names{Cluster: "a,b"}, illegal("cluster")},
		"list of clusters":      {Names{Clusters: "a,b_c,d-e"}, ""},
		"blank in the list":     {Names{Clusters: " c1 , c2 "}, illegal("cluster")},
		"long cluster":          {Names{Clusters: "a," + strings.Repeat("c", 65)}, long("cluster", "64")},
		"host name":             {Names{IP: "host.name"}, ""},
		"IPv6":                  {Names{IP: "::1"}, ""},
		"ip":                    {Names{IP: "not an ip!"}, illegal("ip")},
		"ip in Chinese":         {Names{IP: "主机"}, illegal("ip")},
		"control character":     {Names{IP: "a\x00"}, illegal("ip")},
		"long ip":               {Names{IP: strings.Repeat("i", 129)}, long("ip", "128")},
		"port 0":                {Names{Port: "0"}, ""},
		"port 65536":            {Names{Port: "65536"}, port},
		"negative port":         {Names{Port: "-1"}, port},
		"port in words":         {Names{Port: "http"}, port},
		"fraction of a port":    {Names{Port: "80.5"}, port},
		"metadata at its limit": {Names{Metadata: registry.Pairs{{Key: "k", Value: strings.Repeat("é", 1023)}}}, ""},
		"long metadata":         {Names{Metadata: registry.Pairs{{Key: "k", Value: strings.Repeat("v", 1024)}}}, long("Metadata", "1024")},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckFormat(&tt.names)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("CheckFormat() = %q, want %q", got, tt.want)
			}
		})
	}
}

// NAC-NAM-05, 09: parts that do not fit together.
func TestCheckInstance(t *testing.T) {
	const times = "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'."
	meta := func(pairs ...string) registry.Pairs {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return registry.PairsOf(m)
	}
	for name, tt := range map[string]struct {
		in   Instance
		want string
	}{
		"plain":                {Instance{Cluster: "c-1"}, ""},
		"cluster with _":       {Instance{Cluster: "c_1"}, "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: c_1)"},
		"timeout too short":    {Instance{Metadata: meta(metaTimeout, "3000")}, times},
		"removal too short":    {Instance{Metadata: meta(metaRemove, "4999")}, times},
		"interval too long":    {Instance{Metadata: meta(metaInterval, "20000")}, times},
		"all of them":          {Instance{Metadata: meta(metaInterval, "1000", metaTimeout, "1000", metaRemove, "1000")}, ""},
		"no numbers (NAM-09)":  {Instance{Metadata: meta(metaInterval, "soon", metaTimeout, "1e9")}, ""},
		"an overflow is none":  {Instance{Metadata: meta(metaInterval, strings.Repeat("9", 30))}, ""},
		"other protocols' key": {Instance{Metadata: meta("x", "1")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := tt.in.check(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("check() = %q, want %q", got, tt.want)
			}
		})
	}
	for w, want := range map[float64]bool{0: true, 10000: true, 1.5: true, -0.1: false, 10000.1: false} {
		if err := CheckWeight(w); (err == nil) != want {
			t.Errorf("CheckWeight(%v) = %v, want refused %t", w, err, !want)
		}
	}
	for w, want := range map[float64]float64{math.Inf(1): 0, math.Inf(-1): 0, 2.5: 2.5} {
		if got := finite(w); got != want {
			t.Errorf("finite(%v) = %v, want %v", w, got, want)
		}
	}
	if got := finite(math.NaN()); got != 0 {
		t.Errorf("finite(NaN) = %v, want 0", got)
	}
}

// NAC-H1N-25, 26: how long an instance may be silent; it is there a second longer.
func TestExpiry(t *testing.T) {
	own := registry.PairsOf(map[string]string{metaTimeout: "6000", metaRemove: "9000"})
	on, off := registry.Pairs{{Key: metaNoExpiry, Value: "false"}}, registry.Pairs{{Key: metaNoExpiry, Value: "true"}}
	for name, tt := range map[string]struct {
		instance, service registry.Pairs
		unhealthy, remove int64
	}{
		"default":             {nil, nil, 15000, 31000},
		"its own":             {own, nil, 6000, 10000},
		"false does not":      {on, on, 15000, 31000},
		"switched off":        {off, nil, 0, 0},
		"off for the service": {on, off, 0, 0},
		"never removed":       {registry.Pairs{{Key: metaRemove, Value: "0"}}, nil, 15000, 0},
	} {
		got := expiry(tt.instance, tt.service)
		if got.Unhealthy.Milliseconds() != tt.unhealthy || got.Remove.Milliseconds() != tt.remove {
			t.Errorf("%s: expiry() = %v, want %d and %d ms", name, got, tt.unhealthy, tt.remove)
		}
	}
}

// NAC-NAM-64, NAD-NSEM-54: selectors as they are given and kept.
func TestSelector(t *testing.T) {
	for text, want := range map[string]struct {
		kind   string
		labels []string
	}{
		"":                 {SelectNone, nil},
		`{"type":"none"}`:  {SelectNone, nil},
		`{"type":"label"}`: {"", nil},
		`{"type":"label","expression":"CONSUMER.label.A = PROVIDER.label.A"}`:                                 {SelectLabel, []string{"A"}},
		`{"type":"label","expression":"CONSUMER.label.A=PROVIDER.label.A&CONSUMER.label.B=PROVIDER.label.B"}`: {SelectLabel, []string{"A", "B"}},
		`{"type":"label","expression":"CONSUMER.label.A = PROVIDER.label.B"}`:                                 {"", nil},
		`{"type":"label","expression":"nonsense"}`:                                                            {"", nil},
		`{"type":"what"}`: {"", nil},
		`nojson`:          {"", nil},
		`[]`:              {"", nil},
	} {
		s, err := ParseSelector(text)
		if (err != nil) != (want.kind == "") || err == nil && s.Type != want.kind {
			t.Errorf("ParseSelector(%s) = %v, %v, want %q", text, s, err, want.kind)
			continue
		}
		if err != nil {
			continue
		}
		if got := storedSelector(s.stored()); got != s {
			t.Errorf("stored and read back: %v, want %v", got, s)
		}
		if s.Type == SelectLabel && !slices.Equal(s.Labels(), want.labels) {
			t.Errorf("Labels(%s) = %v, want %v", text, s.Labels(), want.labels)
		}
	}
}
