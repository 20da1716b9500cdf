package naming

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/easynet-cn/batata/core/registry"
)

// The limits of the parameter check, in characters (nacos-admin.md 1.5).
const (
	maxNamespace = 64
	maxGroup     = 128
	maxService   = 512
	maxCluster   = 64
	maxIP        = 128
	maxMetadata  = 1024 // keys and values together

	maxPort   = 65535
	maxWeight = 10_000
)

// Names are the parts of a request that the parameter check looks at, as the
// client sent them. Blank parts pass.
type Names struct {
	Namespace, Group, Service string

	Cluster  string // of an instance
	Clusters string // a list, of a query
	IP, Port string
	Metadata registry.Pairs
}

// CheckFormat is the parameter check that runs before every handler. The error
// is an *Error with reason BadFormat.
func CheckFormat(n *Names) error {
	for _, c := range [...]struct {
		name, value string
		limit       int
		legal       func(string) bool
	}{
		{"namespaceId/tenant", n.Namespace, maxNamespace, isNamespace},
		{"serviceName", n.Service, maxService, isService},
		{"group", n.Group, maxGroup, isGroup},
		{"cluster", n.Cluster, maxCluster, isCluster},
		{"ip", n.IP, maxIP, isHost},
	} {
		if err := checkFormat(c.name, c.value, c.limit, c.legal); err != nil {
			return err
		}
	}
	if err := checkClusters(n.Clusters); err != nil {
		return err
	}
	if n.Port != "" {
		if _, err := ParsePort(n.Port); err != nil {
			return err
		}
	}
	return checkMetadata(n.Metadata)
}

// ParsePort reads a port (NAD-GEN-47).
func ParsePort(s string) (uint16, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 || n > maxPort {
		return 0, &Error{BadFormat, "Param 'port' is illegal, the value should be between 0 and 65535."}
	}
	return uint16(n), nil
}

// CheckWeight is the range that HTTP alone looks at (NAC-NAM-03).
func CheckWeight(w float64) error {
	if w < 0 || w > maxWeight {
		return &Error{BadWeight, "instance format invalid: The weights range from 0.0 to 10000.0"}
	}
	return nil
}

func checkFormat(name, value string, limit int, legal func(string) bool) error {
	switch {
	case value == "":
		return nil
	case len(value) > limit && utf8.RuneCountInString(value) > limit:
		return &Error{BadFormat, fmt.Sprintf("Param '%s' is illegal, the param length should not exceed %d.", name, limit)}
	case !legal(value):
		return &Error{BadFormat, "Param '" + name + "' is illegal, illegal characters should not appear in the param."}
	}
	return nil
}

func checkClusters(list string) error {
	if list == "" {
		return nil
	}
	for c := range strings.SplitSeq(list, ",") {
		if err := checkFormat("cluster", c, maxCluster, isCluster); err != nil {
			return err
		}
	}
	return nil
}

func checkMetadata(m registry.Pairs) error {
	n := 0
	for i := range m {
		n += utf8.RuneCountInString(m[i].Key) + utf8.RuneCountInString(m[i].Value)
	}
	if n > maxMetadata {
		return &Error{BadFormat, fmt.Sprintf("Param 'Metadata' is illegal, the param length should not exceed %d.", maxMetadata)}
	}
	return nil
}

// isService takes ASCII that can be seen, without a leading @ and without the
// separator (NAD-GEN-44).
func isService(s string) bool {
	return s[0] != '@' && !strings.Contains(s, Separator) && isHost(s)
}

// isHost takes ASCII that can be seen.
func isHost(s string) bool { return all(s, func(c byte) bool { return c > ' ' && c < 0x7f }) }

func isNamespace(s string) bool { return all(s, isWord) }

func isGroup(s string) bool {
	return all(s, func(c byte) bool { return isWord(c) || c == '.' || c == ':' })
}

func isCluster(s string) bool { return all(s, isWord) }

func isWord(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func all(s string, legal func(byte) bool) bool {
	for i := range len(s) {
		if !legal(s[i]) {
			return false
		}
	}
	return true
}

// check refuses an instance whose parts do not fit together.
func (in *Instance) check() error {
	for i := range len(in.Cluster) {
		if c := in.Cluster[i]; c == '_' || !isWord(c) {
			return &Error{BadInstance, "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: " + in.Cluster + ")"}
		}
	}
	t := timesOf(in.Metadata)
	if t.timeout < t.interval || t.remove < t.interval {
		return &Error{BadInstance, "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'."}
	}
	return nil
}

// finite is a weight that JSON can hold. What is no number is never chosen.
func finite(w float64) float64 {
	if math.IsNaN(w) || math.IsInf(w, 0) {
		return 0
	}
	return w
}
