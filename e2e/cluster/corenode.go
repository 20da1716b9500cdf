package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/lock"
)

// coreChild is the environment variable that makes the test binary one member made
// of core alone, with rows and locks over HTTP: what no protocol of the server
// offers can be tested on it in processes as well. Its value is the size of the
// log in bytes above which it is cut.
const coreChild = "CLUSTER_CORE_MEMBER"

// kept is the table of the rows.
const kept = "t"

// coreNode is such a member.
type coreNode struct {
	n       *core.Node
	stop    context.Context
	figures *prometheus.Registry
}

// serveCore is the main function of a member; args are those of the server.
func serveCore(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := runCore(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runCore(ctx context.Context, args []string) error {
	dir, set := settings(args)
	main, err := strconv.Atoi(set["nacos.server.main.port"])
	if err != nil {
		return err
	}
	bytes, err := strconv.ParseInt(os.Getenv(coreChild), 10, 64)
	if err != nil {
		return err
	}
	replace, err := time.ParseDuration(set["cluster.replace_after"])
	if err != nil {
		return err
	}
	figures := prometheus.NewRegistry()
	c := core.Config{
		Metrics: figures, DataDir: dir, LogBytes: bytes, Tables: []kv.TableSpec{{Name: kept, Residency: kv.Hot}},
		Peer: core.Peer{
			Listen: fmt.Sprintf("127.0.0.1:%d", main+1001), Secret: []byte(set["cluster.secret"]), ReplaceAfter: replace,
		},
	}
	for m := range strings.SplitSeq(set["nacos.member.list"], ",") {
		host, port, err := net.SplitHostPort(m)
		if err != nil {
			return err
		}
		p, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		c.Peer.Members = append(c.Peer.Members, net.JoinHostPort(host, strconv.Itoa(p+1001)))
	}
	if host := set["cluster.advertise"]; host != "" {
		c.Peer.Advertise = net.JoinHostPort(host, strconv.Itoa(main+1001))
	}
	n, err := core.Start(ctx, c)
	if err != nil {
		return err
	}
	x := &coreNode{n, ctx, figures}
	return errors.Join(x.listen(fmt.Sprintf("127.0.0.1:%d", main)), n.Close())
}

// settings reads the command line that package node makes.
func settings(args []string) (dir string, set map[string]string) {
	set = map[string]string{}
	for i := 0; i+1 < len(args); i++ {
		switch args[i] {
		case "--data-dir":
			dir = args[i+1]
		case "--set":
			k, v, _ := strings.Cut(args[i+1], "=")
			set[k] = v
		}
	}
	return dir, set
}

// listen answers until the process is told to stop or the node fails.
func (x *coreNode) listen(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nacos/v3/admin/core/state/readiness", func(w http.ResponseWriter, r *http.Request) {
		if err := x.n.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"code":0}`)
	})
	mux.HandleFunc("GET /metrics", x.metrics)
	mux.HandleFunc("POST /kv/{kind}", x.row)
	mux.HandleFunc("POST /lock/{kind}", x.lock)
	s := &http.Server{Addr: addr, Handler: mux}
	go func() {
		select {
		case <-x.stop.Done():
		case <-x.n.Done():
		}
		_ = s.Close()
	}()
	err := s.ListenAndServe()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, x.n.Err())
}

func (x *coreNode) metrics(w http.ResponseWriter, r *http.Request) {
	leads, voters := 0, 0
	if x.n.Leads() {
		leads = 1
	}
	if ms, err := x.n.Cluster().Members(r.Context()); err == nil {
		for _, m := range ms {
			if m.Voter && m.State == cluster.Up {
				voters++
			}
		}
	}
	_, _ = fmt.Fprintf(w, "# a member\nbatata_core_leader %d\nvoters %d\nsnapshots %v\n", leads, voters,
		x.figure("batata_cluster_snapshots_installed_total"))
}

// figure is a metric of the node.
func (x *coreNode) figure(name string) (v float64) {
	families, err := x.figures.Gather()
	if err != nil {
		return -1
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				v += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return v
}

// answer tells the outcome of a call.
func answer(w http.ResponseWriter, v any, err error) {
	switch {
	case errors.Is(err, kv.ErrUncertain), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		_ = json.NewEncoder(w).Encode(v)
	}
}

// row reads a row as of a quorum, writes it, or does so on a condition.
func (x *coreNode) row(w http.ResponseWriter, r *http.Request) {
	key := []byte(r.FormValue("key"))
	put := kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: kept, Key: key, Value: []byte(r.FormValue("value"))}}}
	switch r.PathValue("kind") {
	case "read":
		v, err := x.n.KV().View(r.Context(), kv.Linearizable)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		rec, err := v.Get(r.Context(), kept, key)
		if errors.Is(err, kv.ErrNotFound) {
			answer(w, "", nil)
			return
		}
		if err != nil {
			answer(w, nil, err)
			return
		}
		answer(w, string(rec.Value), nil)
		return
	case "compare":
		put.If = []kv.Compare{{Table: kept, Key: key, Target: kv.Value, Rel: kv.Equal, Bytes: []byte(r.FormValue("old"))}}
	}
	res, err := x.n.KV().Commit(r.Context(), put)
	answer(w, res.Committed, err)
}

// lockCall is a call on a lock and its answer.
type lockCall struct {
	Request lock.Request
	Held    lock.Held
	TTL     time.Duration
	OK      bool
}

func (x *coreNode) lock(w http.ResponseWriter, r *http.Request) {
	var c lockCall
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var err error
	switch r.PathValue("kind") {
	case "acquire":
		c.Held, c.OK, err = x.n.Locks().Acquire(r.Context(), c.Request)
	case "extend":
		c.OK, err = x.n.Locks().Extend(r.Context(), c.Held, c.TTL)
	default:
		c.OK, err = x.n.Locks().Release(r.Context(), c.Held)
	}
	answer(w, c, err)
}
