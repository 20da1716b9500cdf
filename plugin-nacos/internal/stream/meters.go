package stream

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the metrics of the transport.
type meters struct {
	requests *prometheus.CounterVec
	pushes   *prometheus.CounterVec
	acks     prometheus.Counter
	drops    prometheus.Counter
}

func newMeters(r prometheus.Registerer, count func() int) (*meters, error) {
	m := &meters{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_requests_total", Help: "Calls by request type.",
		}, []string{"type"}),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_pushes_total", Help: "Messages sent to clients, repeated ones too, by type.",
		}, []string{"type"}),
		acks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grpc_acks_total", Help: "Pushes that clients answered.",
		}),
		drops: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grpc_dropped_total", Help: "Connections ended because the client did not answer.",
		}),
	}
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "grpc_connections", Help: "Registered connections.",
	}, func() float64 { return float64(count()) })
	for _, c := range []prometheus.Collector{m.requests, m.pushes, m.acks, m.drops, connections} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the transport: %w", err)
		}
	}
	return m, nil
}
