package locks

import "github.com/prometheus/client_golang/prometheus"

// meters are the figures of one engine.
type meters struct{ refused prometheus.Counter }

func newMeters(r prometheus.Registerer, e *Engine) *meters {
	m := &meters{refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "batata_core_locks_refused_total", Help: "Requests for locks refused at a limit.",
	})}
	if r == nil {
		return m
	}
	for _, c := range []prometheus.Collector{
		m.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batata_core_locks_held", Help: "Locks that are held.",
		}, func() float64 { return float64(e.held.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batata_core_lock_waiters", Help: "Requests that wait for a lock on this member.",
		}, func() float64 { return float64(e.queues.len()) }),
	} {
		_ = r.Register(c) // a second node on one registerer shares the names of the first
	}
	return m
}
