package udppush

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the metrics of pushes over UDP.
type meters struct {
	pushes, acks, lost, large, failed, strange prometheus.Counter
	refused                                    *prometheus.CounterVec
}

func newMeters(r prometheus.Registerer, count func() int) (*meters, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &meters{
		pushes:  counter("udp_pushes_total", "Packets sent to clients, repeated ones too."),
		acks:    counter("udp_acks_total", "Packets that clients acknowledged."),
		lost:    counter("udp_lost_total", "Packets that clients did not acknowledge twice."),
		large:   counter("udp_too_large_total", "Packets not sent because the client could not read them."),
		failed:  counter("udp_failed_total", "Packets that the system did not send."),
		strange: counter("udp_strange_total", "Datagrams that acknowledge nothing that was sent."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "udp_refused_total", Help: "List calls of clients that wanted packets and get none: for their agent, their address, or a bound.",
		}, []string{"reason"}),
	}
	subscriptions := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "udp_subscriptions", Help: "Subscriptions of clients that take packets.",
	}, func() float64 { return float64(count()) })
	for _, c := range []prometheus.Collector{m.pushes, m.acks, m.lost, m.large, m.failed, m.strange, m.refused, subscriptions} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of pushes over UDP: %w", err)
		}
	}
	return m, nil
}
