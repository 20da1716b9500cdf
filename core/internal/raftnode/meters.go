package raftnode

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// meters are the figures of one node.
type meters struct {
	proposals, rejected, fallbacks, forwarded, elections, installed prometheus.Counter
	applied, lagBytes, lagOps, log, term, leader                    prometheus.Gauge
}

func newMeters(r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &meters{
		proposals: counter("batata_core_proposals_total", "Transactions proposed."),
		rejected:  counter("batata_core_proposals_rejected_total", "Transactions refused for overload."),
		fallbacks: counter("batata_core_fresh_fallbacks_total", "Fresh reads answered from local state."),
		forwarded: counter("batata_core_proposals_forwarded_total", "Transactions handed to the leader."),
		elections: counter("batata_core_elections_won_total", "Times this member began to lead."),
		installed: counter("batata_cluster_snapshots_installed_total", "Snapshots of the state taken from other members."),
		term:      gauge("batata_core_raft_term", "Term of raft."),
		leader:    gauge("batata_core_leader", "1 on the member that leads, else 0."),
		applied:   gauge("batata_core_applied_index", "Log index applied."),
		lagBytes:  gauge("batata_core_persist_lag_bytes", "Bytes applied and not yet in state.db."),
		lagOps:    gauge("batata_core_persist_lag_ops", "Rows applied and not yet in state.db."),
		log:       gauge("batata_core_log_bytes", "Bytes of the write-ahead log."),
	}
	if r != nil {
		for _, c := range []prometheus.Collector{
			m.proposals, m.rejected, m.fallbacks, m.forwarded, m.elections, m.installed,
			m.applied, m.lagBytes, m.lagOps, m.log, m.term, m.leader,
		} {
			_ = r.Register(c) // a second node on one registerer shares the names of the first
		}
	}
	return m
}

func (m *meters) led(leads bool) {
	if !leads {
		m.leader.Set(0)
		return
	}
	m.leader.Set(1)
	m.elections.Inc()
}

func (m *meters) observe(applied uint64, bytes, ops, log int64) {
	m.applied.Set(float64(applied))
	m.lagBytes.Set(float64(bytes))
	m.lagOps.Set(float64(ops))
	m.log.Set(float64(log))
}

// raftLogger lets raft write through zap. Raft says at Info what is routine
// here.
type raftLogger struct{ *zap.SugaredLogger }

func (l raftLogger) Info(v ...any)                    { l.Debug(v...) }
func (l raftLogger) Infof(format string, v ...any)    { l.Debugf(format, v...) }
func (l raftLogger) Warning(v ...any)                 { l.Warn(v...) }
func (l raftLogger) Warningf(format string, v ...any) { l.Warnf(format, v...) }
