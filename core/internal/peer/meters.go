package peer

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the figures of a pool. Those of single members are made when they
// are asked for, so that members that have gone leave nothing behind.
type meters struct {
	sent, dropped, snapshots, opened prometheus.Counter
	warned                           warned

	pool                             *Pool
	up, rtt, breaker, fails, silence *prometheus.Desc
}

func newMeters(p *Pool, r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"member"}, nil)
	}
	m := &meters{
		pool:      p,
		sent:      counter("batata_cluster_raft_messages_sent_total", "Messages of raft sent to other members."),
		dropped:   counter("batata_cluster_raft_messages_dropped_total", "Messages of raft dropped for want of a connection or of room."),
		snapshots: counter("batata_cluster_snapshots_sent_total", "Snapshots of the state sent to other members."),
		opened:    counter("batata_cluster_breakers_opened_total", "Times that calls to a member were given up for a while."),
		up:        desc("batata_cluster_peer_up", "1 for a member that answers, else 0."),
		rtt:       desc("batata_cluster_peer_rtt_seconds", "Time of the last ping of a member."),
		breaker:   desc("batata_cluster_peer_breaker_state", "Breaker of calls to a member: 0 closed, 1 half open, 2 open."),
		fails:     desc("batata_cluster_peer_failed_pings", "Pings of a member in a row that were not answered."),
		silence:   desc("batata_cluster_peer_silence_seconds", "Time since a member was heard last, or since it is asked for."),
	}
	if r != nil {
		for _, c := range []prometheus.Collector{m.sent, m.dropped, m.snapshots, m.opened, m} {
			_ = r.Register(c) // a second node on one registerer shares the names of the first
		}
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *meters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.up, m.rtt, m.breaker, m.fails, m.silence} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *meters) Collect(ch chan<- prometheus.Metric) {
	for _, h := range m.pool.Health() {
		id := fmt.Sprintf("%016x", h.ID)
		up := 0.0
		if h.State == Up || h.State == Leaving {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(m.up, prometheus.GaugeValue, up, id)
		ch <- prometheus.MustNewConstMetric(m.rtt, prometheus.GaugeValue, h.RTT.Seconds(), id)
		ch <- prometheus.MustNewConstMetric(m.breaker, prometheus.GaugeValue, float64(h.Breaker), id)
		ch <- prometheus.MustNewConstMetric(m.fails, prometheus.GaugeValue, float64(h.Fails), id)
		ch <- prometheus.MustNewConstMetric(m.silence, prometheus.GaugeValue, time.Since(h.Heard).Seconds(), id)
	}
}
