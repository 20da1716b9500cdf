package registrytest

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/easynet-cn/batata/core/registry"
)

// Few names, so that operations meet.
var (
	drawOwner   = rapid.SampledFrom([]string{one, two})
	drawScope   = rapid.SampledFrom([]string{"a", "b", "c"})
	drawName    = rapid.SampledFrom([]string{"s1", "s2", "s3", "s4"})
	drawHost    = rapid.SampledFrom([]string{"h1", "h2", "H1.", "10.0.0.1", "::ffff:10.0.0.1"})
	drawPort    = rapid.Uint16Range(1, 2)
	drawSubset  = rapid.SampledFrom([]string{"", "x", "y"})
	drawStatus  = rapid.SampledFrom([]registry.Status{registry.Passing, registry.Passing, registry.Warning, registry.Critical})
	drawWeight  = rapid.SampledFrom([]float64{0, 1, 1, 2.5})
	drawEnabled = rapid.SampledFrom([]bool{true, true, true, false})
)

func service(name string) registry.ServiceKey {
	return registry.ServiceKey{Namespace: "n", Group: "g", Name: name}
}

func drawService(t *rapid.T) registry.ServiceKey { return service(drawName.Draw(t, "service")) }

func drawMeta(t *rapid.T, marks bool) registry.Pairs {
	keys := []string{"k1", "k2"}
	if marks {
		keys = append(keys, "syncSource", "batata.io/source")
	}
	m := map[string]string{}
	for range rapid.IntRange(0, 2).Draw(t, "pairs") {
		m[rapid.SampledFrom(keys).Draw(t, "key")] = rapid.SampledFrom([]string{"", "v", "w"}).Draw(t, "value")
	}
	return registry.PairsOf(m)
}

func drawRegistration(t *rapid.T) registry.Registration {
	r := registry.Registration{
		Service: drawService(t), Subset: drawSubset.Draw(t, "subset"), Host: drawHost.Draw(t, "host"), Port: drawPort.Draw(t, "port"),
		Weight: drawWeight.Draw(t, "weight"), Status: drawStatus.Draw(t, "status"), Enabled: drawEnabled.Draw(t, "enabled"),
		Meta: drawMeta(t, true),
	}
	if rapid.IntRange(0, 3).Draw(t, "named") == 0 {
		r.ID = rapid.SampledFrom([]string{"i1", "i2", "h1:1"}).Draw(t, "id")
		if r.ID == fmt.Sprintf("%s:%d", r.Host, r.Port) {
			r.ID = ""
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "rare") == 0 {
		w := drawWeight.Draw(t, "warn")
		r.Warn, r.Drain, r.Tags = &w, rapid.Bool().Draw(t, "drain"), []string{"t", "", "t"}
		r.Locality.Zone, r.Ext = "z", []byte("ext")
	}
	return r
}

func drawInfo(t *rapid.T) *registry.PublisherInfo {
	if rapid.IntRange(0, 2).Draw(t, "bare") > 0 {
		return nil
	}
	return &registry.PublisherInfo{
		Origin: rapid.SampledFrom([]string{"", "", "dc2"}).Draw(t, "origin"), Addr: "10.0.0.9",
		Labels: drawMeta(t, false), Ext: []byte("x"), Out: rapid.IntRange(0, 3).Draw(t, "out") == 0,
	}
}

// drawKey names an instance, some, or one that is not there.
func drawKey(t *rapid.T) registry.InstanceKey {
	k := registry.InstanceKey{Service: drawService(t), Subset: drawSubset.Draw(t, "subset")}
	switch rapid.IntRange(0, 3).Draw(t, "which") {
	case 0:
		return k // a subset, or the service
	case 1:
		k.ID = rapid.SampledFrom([]string{"i1", "i2", "none"}).Draw(t, "id")
	default:
		k.ID = fmt.Sprintf("%s:%d", drawHost.Draw(t, "host"), drawPort.Draw(t, "port"))
	}
	return k
}

// names says whether a key of a publisher means an instance.
func names(k *registry.InstanceKey, id *instID) bool {
	return id.service == k.Service && (k.Subset == "" && k.ID == "" || k.Subset == id.subset) && (k.ID == "" || k.ID == id.id)
}
