package naming

import (
	"strconv"
	"time"

	"github.com/easynet-cn/batata/core/registry"
)

// Instance is one instance as a client registers it. NewInstance has the
// defaults.
type Instance struct {
	IP       string
	Port     uint16
	Cluster  string // blank: DEFAULT
	Weight   float64
	Healthy  bool
	Enabled  bool
	Metadata registry.Pairs // not checked for length, that is CheckFormat's

	// ID is the instance id that the client gave; blank: ip#port#cluster#service,
	// or a number when the metadata asks for it.
	ID string
	// NoID says that the instance shows no id: that of HTTP V2 and V3
	// (NAC-NAM-01).
	NoID bool
}

// NewInstance is an instance that says nothing but its address.
func NewInstance(ip string, port uint16) Instance {
	return Instance{IP: ip, Port: port, Weight: 1, Healthy: true, Enabled: true}
}

// The keys of metadata that Nacos reads (NAC-NAM-09, NAC-H1N-26).
const (
	metaInterval  = "preserved.heart.beat.interval"
	metaTimeout   = "preserved.heart.beat.timeout"
	metaRemove    = "preserved.ip.delete.timeout"
	metaGenerator = "preserved.instance.id.generator"
	metaNoExpiry  = "enableClientBeat" // true: never expires; the name means the opposite
)

// The generators of instance ids.
const (
	generatorSimple    = "simple"
	generatorSnowflake = "snowflake"
)

// The times of an instance that says nothing, in milliseconds (NAC-TIM-01).
const (
	defaultInterval = 5_000
	defaultTimeout  = 15_000
	defaultRemove   = 30_000
)

// times are the beat times of an instance in milliseconds.
type times struct{ interval, timeout, remove int64 }

// defaults are those of an instance that says nothing.
var defaults = times{defaultInterval, defaultTimeout, defaultRemove} //nolint:gochecknoglobals // a constant that Go cannot say

func timesOf(m registry.Pairs) times {
	t := defaults
	for i := range m {
		t.read(m[i].Key, m[i].Value)
	}
	return t
}

// read takes a positive or negative number over; what is none is not there.
func (t *times) read(key, value string) {
	to := &t.interval
	switch key {
	case metaInterval:
	case metaTimeout:
		to = &t.timeout
	case metaRemove:
		to = &t.remove
	default:
		return
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		*to = n
	}
}

// expiry is how long an instance may be silent; zero when it may be for ever
// (NAC-H1N-26).
func expiry(instance, service registry.Pairs) registry.Expiry {
	for _, m := range [...]registry.Pairs{instance, service} {
		if off, _ := m.Get(metaNoExpiry); off == "true" {
			return registry.Expiry{}
		}
	}
	t := timesOf(instance)
	x := registry.Expiry{Unhealthy: ms(t.timeout), Remove: ms(t.remove)}
	if x.Remove > 0 {
		x.Remove += late
	}
	return x
}

// late is for how long an instance is still there that should be gone: the
// reference looks every five seconds, and clients see it until then (NAC-H1N-25).
const late = time.Second

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// registration is the instance as core keeps it.
func (in *Instance) registration(k registry.ServiceKey, p registry.PublisherKey) registry.Registration {
	status := registry.Passing
	if !in.Healthy {
		status = registry.Critical
	}
	return registry.Registration{
		Service: k, Publisher: p,
		Subset: ClusterOf(in.Cluster), Host: in.IP, Port: in.Port,
		Weight: finite(in.Weight), Status: status, Enabled: in.Enabled, Meta: in.Metadata,
		Ext: in.ext(),
	}
}

// addressOf is host and port with a colon, whatever the host is.
func addressOf(ip string, port uint16) string { return ip + ":" + strconv.Itoa(int(port)) }
