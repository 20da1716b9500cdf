package catalog

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easynet-cn/batata/core/kv"
)

// meters are the figures of one catalog.
type meters struct {
	changes, refused, overtaken, silenced, expired, pauses prometheus.Counter
}

func newMeters(e *Engine, r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &meters{
		changes:   counter("batata_registry_changes_total", "Changes of services."),
		refused:   counter("batata_registry_refused_total", "Writes of ephemeral instances refused because of a limit."),
		overtaken: counter("batata_registry_streams_overtaken_total", "Streams ended because too many services went before they heard of it."),
	}
	m.silenced = counter("batata_registry_silenced_total", "Instances that became critical for want of beats.")
	m.expired = counter("batata_registry_expired_total", "Instances removed for want of beats.")
	m.pauses = counter("batata_registry_pauses_total", "Times the process stood still and no beat could be heard.")
	if r == nil {
		return m
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			e.mu.Lock()
			defer e.mu.Unlock()
			return float64(value())
		})
	}
	for _, c := range []prometheus.Collector{
		m.changes, m.refused, m.overtaken, m.silenced, m.expired, m.pauses,
		gauge("batata_registry_services", "Services that exist.", func() int { return e.sorted.Len() }),
		gauge("batata_registry_instances", "Instances in services.", func() int { return e.instances }),
		gauge("batata_registry_healthy", "Instances that take work.", func() int { return e.healthy }),
		gauge("batata_registry_publishers", "Publishers, open ones and those of rows.", func() int { return e.publishers.live }),
		gauge("batata_registry_beats", "Publishers of instances that live by beats and are watched.", func() int { return e.wheel.n }),
		gauge("batata_registry_overrides", "Instances with an override.", func() int { return e.laid }),
		gauge("batata_registry_streams", "Open streams of changes.", func() int { return len(e.streams) }),
		gauge("batata_registry_gone", "Services that went and are remembered.", func() int { return len(e.gone) }),
	} {
		_ = r.Register(c) // a second node on one registerer shares the names of the first
	}
	return m
}

// refuse counts an error that a limit caused.
func (m *meters) refuse(err error) error {
	if errors.Is(err, kv.ErrTooLarge) || errors.Is(err, kv.ErrOverloaded) {
		m.refused.Inc()
	}
	return err
}
