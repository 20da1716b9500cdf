// Package observe is what the server itself answers about its state: metrics in
// the text format of Prometheus, liveness and readiness. It owns no goroutine.
package observe

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry that holds the figures of the process.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister( // a new registry takes both
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// Metrics answers scrapes (NAD-MET-01).
func Metrics(r *prometheus.Registry) http.Handler {
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 8})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req = req.Clone(req.Context())
		req.Header.Del("Accept") // one format for everybody
		h.ServeHTTP(w, req)
	})
}

// Health answers a probe with a fixed document (NAD-MET-02).
func Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"UP"}`)) // the client may be gone
	})
}

// Live answers as long as the process serves requests.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n")) // the client may be gone
	})
}

// document is the answer of Ready.
type document struct {
	Ready bool              `json:"ready"`
	Parts map[string]string `json:"parts"` // "ready", or what is missing
	Off   []string          `json:"off,omitempty"`
}

// Ready answers 200 when every part is ready, and 503 with the same document
// otherwise. state returns the parts and the listeners that are off.
func Ready(state func(ctx context.Context) (map[string]error, []string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts, off := state(r.Context())
		doc := document{Ready: true, Parts: map[string]string{}, Off: off}
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			doc.Parts[name] = "ready"
			if err := parts[name]; err != nil {
				doc.Ready, doc.Parts[name] = false, err.Error()
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if !doc.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(doc) // the client may be gone
	})
}

// maxNamespaces bounds the label values of a figure (NAD-MET-23).
const maxNamespaces = 1000

// perNamespace is a figure with the label namespace.
type perNamespace struct {
	desc  *prometheus.Desc
	count func() map[string]int64
}

// ConfigCount is batata_config_count{namespace} (PRD-14).
func ConfigCount(count func() map[string]int64) prometheus.Collector {
	return countPer("batata_config_count", "Configs by namespace.", count)
}

// ServiceCount is batata_service_count{namespace} (PRD-14).
func ServiceCount(count func() map[string]int64) prometheus.Collector {
	return countPer("batata_service_count", "Services by namespace.", count)
}

func countPer(name, help string, count func() map[string]int64) prometheus.Collector {
	return &perNamespace{desc: prometheus.NewDesc(name, help, []string{"namespace"}, nil), count: count}
}

// Describe implements prometheus.Collector.
func (c *perNamespace) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *perNamespace) Collect(ch chan<- prometheus.Metric) {
	counts := c.count()
	names := slices.Sorted(maps.Keys(counts))
	var rest int64
	for i, name := range names {
		if i >= maxNamespaces {
			rest += counts[name]
			continue
		}
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(counts[name]), name)
	}
	if rest > 0 {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(rest), "_other")
	}
}

// MemberCount is batata_cluster_member_count (PRD-14).
func MemberCount(count func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "batata_cluster_member_count", Help: "Members of the cluster.",
	}, func() float64 { return float64(count()) })
}

// Connections is how many connections are open, and how many were refused
// because of a limit (STY-52).
func Connections(open, refused func() int64) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "batata_server_connections_open", Help: "Open connections on listeners of HTTP and gRPC.",
		}, func() float64 { return float64(open()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "batata_server_connections_refused_total", Help: "Connections closed at once because of a limit.",
		}, func() float64 { return float64(refused()) }),
	}
}
