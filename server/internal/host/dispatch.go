package host

import (
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/server/internal/mux"
)

// dispatcher routes requests to mounts. The path is neither cleaned nor changed:
// what was routed is what the plugin sees (SEC-04). The table never changes.
type dispatcher struct {
	inproc.Mounts
	counts *counts
	logger *zap.Logger
	mux    *mux.Mux // keeps parked requests
}

// ServeHTTP implements http.Handler.
func (d *dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := d.Find(r.URL.Path)
	if m == nil {
		d.counts.add(r.Method, "none")
		http.NotFound(w, r)
		return
	}
	rec := &recorder{ResponseWriter: w, route: m.Prefix, request: r, mux: d.mux}
	defer d.finish(rec, r)
	m.Handler.ServeHTTP(rec, r)
}

// finish counts a request and keeps a panic from ending the server.
func (d *dispatcher) finish(rec *recorder, r *http.Request) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
			panic(p) //nolint:forbidigo // net/http ends the connection
		}
		d.logger.Error("handler panicked", zap.String("route", rec.route), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		switch {
		case rec.parked != nil:
			rec.parked.Abort()
		case rec.wrote:
			defer panic(http.ErrAbortHandler) //nolint:forbidigo // half an answer must not look whole
		default:
			http.Error(rec, "internal error", http.StatusInternalServerError)
		}
	}
	d.counts.add(r.Method, rec.route)
}

// recorder is the response writer that mounted handlers get.
type recorder struct {
	http.ResponseWriter
	route   string
	wrote   bool
	request *http.Request
	mux     *mux.Mux
	parked  *mux.Parked
}

var (
	_ plugin.RouteNamer = (*recorder)(nil)
	_ plugin.Parker     = (*recorder)(nil)
	_ http.Flusher      = (*recorder)(nil)
)

// NameRoute implements plugin.RouteNamer.
func (r *recorder) NameRoute(pattern string) { r.route = pattern }

// Park implements plugin.Parker.
func (r *recorder) Park(until time.Time, over func(gone bool)) (plugin.Parked, bool) {
	if r.wrote || r.parked != nil {
		return nil, false
	}
	p, ok := r.mux.Park(r.ResponseWriter, r.request, until, over)
	if !ok {
		return nil, false
	}
	r.parked = p
	return p, true
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.wrote = true
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// counts is batata_http_requests_total (PRD-14), with the counter of each route
// kept at hand.
type counts struct {
	vec   *prometheus.CounterVec
	known atomic.Pointer[map[route]prometheus.Counter] // replaced, never changed
}

type route struct{ method, path string }

// methods are the label values that are kept; others count as one.
var methods = []string{ //nolint:gochecknoglobals // a constant list
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions,
}

func newCounts(r prometheus.Registerer) (*counts, error) {
	c := &counts{vec: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "batata_http_requests_total", Help: "HTTP requests by method and route.",
	}, []string{"method", "path"})}
	c.known.Store(&map[route]prometheus.Counter{})
	return c, r.Register(c.vec)
}

func (c *counts) add(method, path string) {
	if !slices.Contains(methods, method) {
		method = "other"
	}
	key := route{method, path}
	if n, ok := (*c.known.Load())[key]; ok {
		n.Inc()
		return
	}
	n := c.vec.WithLabelValues(method, path)
	n.Inc()
	old := c.known.Load()
	next := maps.Clone(*old)
	next[key] = n
	c.known.CompareAndSwap(old, &next) // who loses adds it with the next request
}
