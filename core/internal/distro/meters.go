package distro

import "github.com/prometheus/client_golang/prometheus"

// meters are the figures of one member.
type meters struct {
	sent, received, refused, lost, differed, reclaimed, orphansEnded, forgotten prometheus.Counter
	forwarded                                                                   *prometheus.CounterVec
}

// newMeters registers the figures of a state, nil for none, on r, nil for nowhere.
func newMeters(s *state, r prometheus.Registerer) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "batata_distro_" + name, Help: help})
	}
	m := &meters{
		sent:         counter("sent_total", "States of publishers that reached another member."),
		received:     counter("received_total", "States of publishers that came from other members."),
		refused:      counter("refused_total", "States of other members that could not be taken."),
		lost:         counter("lost_total", "Messages that did not reach another member."),
		differed:     counter("differed_total", "Buckets whose sums differed from those of another member."),
		reclaimed:    counter("reclaimed_total", "Publishers that others took for gone and that are here."),
		orphansEnded: counter("stale_ended_total", "Stale publishers that this member has ended."),
		forgotten:    counter("forgotten_total", "Ends of publishers that were forgotten early, for want of room."),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "batata_distro_forwarded_total", Help: "Writes for publishers of other members.",
		}, []string{"result"}),
	}
	if r == nil || s == nil {
		return m
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "batata_distro_" + name, Help: help}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(value())
		})
	}
	for _, c := range []prometheus.Collector{
		m.sent, m.received, m.refused, m.lost, m.differed, m.reclaimed, m.orphansEnded, m.forgotten, m.forwarded,
		gauge("members", "Members that answer for clients without a connection.", func() int { return len(s.ring) }),
		gauge("publishers", "Publishers of all members that are replicated.", func() int { return s.records.alive }),
		gauge("ended", "Publishers that ended and are remembered.", func() int { return len(s.records.ends) }),
		gauge("stale", "Publishers whose member is out of sight.", func() int { return len(s.orphans) }),
		gauge("queued", "States that wait to be sent.", func() (n int) {
			for _, p := range s.peers {
				n += len(p.queue)
			}
			return n
		}),
		gauge("synced", "Whether everything that others know has been read (1) or not (0).", func() int {
			if s.synced {
				return 1
			}
			return 0
		}),
	} {
		_ = r.Register(c) // a second node on one registerer shares the names of the first
	}
	return m
}
