package naminghttp

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// metrics are the counts of NAC-H1N-40.
type metrics struct {
	Status string `json:"status"`
	*counts
}

type counts struct {
	Services      int `json:"serviceCount"`
	Instances     int `json:"instanceCount"`
	Subscriptions int `json:"subscribeCount"`
	Mine          int `json:"responsibleInstanceCount"`
	Clients       int `json:"clientCount"`
	Connections   int `json:"connectionBasedClientCount"`
	Ephemeral     int `json:"ephemeralIpPortClientCount"`
	Persistent    int `json:"persistentIpPortClientCount"`
	MyClients     int `json:"responsibleClientCount"`
}

// The states of naming that clients know (NAC-QRK-23).
const (
	statusUp       = "UP"
	statusStarting = "STARTING"
)

// metrics is NAC-H1N-40 and NAC-H2-51, the health probe of clients: anything but
// UP is down to them. The counts come on request.
func (a *API) metrics(g generation) handler {
	return func(c *web.Call) error {
		r := request{Call: c, gen: g}
		out := metrics{Status: statusUp}
		if a.Ready(c.Context()) != nil {
			out.Status = statusStarting
		}
		if only := r.text("onlyStatus"); only != "" && !r.is("onlyStatus") {
			n, err := a.counts.get(c.Context(), a.count)
			if err != nil {
				return err
			}
			out.counts = n
		}
		return r.answer(out)
	}
}

// count counts what this member knows, and is responsible for: all of it.
func (a *API) count(ctx context.Context) (*counts, error) {
	stats, err := a.Catalog.Stats(ctx)
	if err != nil {
		return nil, fmt.Errorf("count services: %w", err)
	}
	ids, err := a.Naming.Clients(ctx)
	if err != nil {
		return nil, err
	}
	connections, ephemeral, persistent := kindsOf(ids)
	return &counts{
		Services: stats.Services, Instances: stats.Instances, Subscriptions: a.Naming.SubscriptionCount(), Mine: stats.Instances,
		Clients: len(ids), Connections: connections, Ephemeral: ephemeral, Persistent: persistent, MyClients: len(ids),
	}, nil
}

// counter counts at most once in a while: everybody may ask, and counting looks
// at every client.
type counter struct{ last atomic.Pointer[counted] }

type counted struct {
	counts *counts
	until  time.Time
}

const countEvery = time.Second

func (n *counter) get(ctx context.Context, count func(context.Context) (*counts, error)) (*counts, error) {
	if last := n.last.Load(); last != nil && time.Now().Before(last.until) {
		return last.counts, nil
	}
	c, err := count(ctx)
	if err != nil {
		return nil, err
	}
	n.last.Store(&counted{c, time.Now().Add(countEvery)})
	return c, nil
}
