package main

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// crowd is an audience of one target: clients that are all told of each change.
type crowd struct {
	ctx    context.Context
	target *target
	swarm  *swarm.Swarm
	// prepare makes ready for a change, change makes the n-th one and returns when
	// it was accepted.
	prepare func() error
	change  func(n int) error
	// rearm makes everybody wait for what follows the n-th change.
	rearm func(n int) error
	ends  []func()

	mu     sync.Mutex                         // guards the rest
	onPush func(*swarm.Client, swarm.Message) // told of pushes instead of hits
	ready  int
	hits   []time.Time
	lost   error
	gone   int
	// patient crowds go on when clients are lost.
	patient bool
	news    chan struct{} // capacity 1: look again
}

// openCrowd makes an empty crowd.
func openCrowd(s *setup, t *target, n int) (*crowd, error) {
	c := &crowd{ctx: s.ctx, target: t, news: make(chan struct{}, 1), prepare: func() error { return nil }, rearm: func(int) error { return nil }}
	note := func(f func() bool) {
		c.mu.Lock()
		tell := f()
		c.mu.Unlock()
		if !tell {
			return
		}
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
	w, err := swarm.New(n, swarm.Handler{
		Ready: func(*swarm.Client) { note(func() bool { c.ready++; return true }) },
		Push: func(k *swarm.Client, m swarm.Message) {
			c.mu.Lock()
			f := c.onPush
			c.mu.Unlock()
			if f != nil {
				f(k, m)
				return
			}
			note(func() bool { c.hits = append(c.hits, m.At); return len(c.hits) >= c.swarm.Len() })
		},
		Lost: func(k *swarm.Client, err error) {
			note(func() bool {
				if c.gone++; c.patient {
					return true
				}
				c.lost = cmp.Or(c.lost, fmt.Errorf("client %d: %w", k.N, err))
				return true
			})
		},
	})
	if err != nil {
		return nil, err
	}
	c.swarm = w
	c.hits = make([]time.Time, 0, 2*n)
	return c, nil
}

// hear has pushes told to f from now on.
func (c *crowd) hear(f func(*swarm.Client, swarm.Message)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onPush = f
}

func (c *crowd) close() {
	c.swarm.Close()
	for _, end := range c.ends {
		end()
	}
}

// until waits for a condition, which is asked with mu held.
func (c *crowd) until(limit time.Duration, done func() bool) (bool, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		c.mu.Lock()
		lost, over := c.lost, done()
		c.mu.Unlock()
		if lost != nil || over {
			return over, lost
		}
		select {
		case <-c.news:
		case <-timer.C:
			return false, nil
		case <-c.ctx.Done():
			return false, c.ctx.Err()
		}
	}
}

// fill dials n clients and waits until all are ready.
func (c *crowd) fill(n int, d *swarm.Dialer) error {
	return c.fillEach(n, d, func(int) [][]byte { return nil })
}

// fillEach is fill with a script for each client.
func (c *crowd) fillEach(n int, d *swarm.Dialer, script func(k int) [][]byte) error {
	for k := range n {
		if _, err := c.swarm.Dial(d, script(k)); err != nil {
			return err
		}
		c.mu.Lock()
		lost := c.lost
		c.mu.Unlock()
		if lost != nil {
			return lost
		}
	}
	ok, err := c.until(time.Minute, func() bool { return c.ready == n })
	if err == nil && !ok {
		err = fmt.Errorf("%d of %d clients are ready after a minute", c.ready, n)
	}
	return err
}

const crowdKey = "crowd"

// openListeners is a crowd over gRPC that listens to one config.
func openListeners(s *setup, t *target, n int, bare bool) (*crowd, error) {
	if bare {
		return openBareStreams(s, t, n)
	}
	addr, err := t.grpc()
	if err != nil {
		return nil, err
	}
	first := crowdContent(0)
	if err := publishSeen(s.ctx, t, crowdKey, first); err != nil {
		return nil, err
	}
	c, err := openCrowd(s, t, n)
	if err != nil {
		return nil, err
	}
	c.publishes(t)
	d := swarm.NewDialer(swarm.Plan{Addr: addr, Module: "config", Script: [][]byte{listenPayload(crowdKey, digest(first))}})
	if err := c.fill(n, d); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func listenPayload(key, md5 string) []byte {
	return payload("ConfigBatchListenRequest", map[string]any{
		"listen": true, "module": "config",
		"configListenContexts": []map[string]string{{"dataId": key, "group": group, "tenant": "", "md5": md5}},
	})
}

func crowdContent(n int) string { return fmt.Sprintf("%d %s", n, small) }

func digest(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

// publishes makes changes of one config over a connection of its own, a new one
// when it rested, since some servers end those.
func (c *crowd) publishes(t *target) {
	var writer *httpCaller
	var used time.Time
	dial := func() (err error) {
		if writer != nil {
			if time.Since(used) < time.Second {
				return nil
			}
			writer.close()
		}
		writer, err = dialHTTP(t.http(), func(n int) []byte {
			return publishRequest(func(int) string { return crowdKey }, crowdContent(n))(n)
		})
		return err
	}
	c.ends = append(c.ends, func() {
		if writer != nil {
			writer.close()
		}
	})
	c.prepare = dial
	c.change = func(n int) error {
		used = time.Now()
		return writer.do(n)
	}
}

// openBareStreams is the crowd of the gRPC ceiling.
func openBareStreams(s *setup, t *target, n int) (*crowd, error) {
	c, err := openCrowd(s, t, n)
	if err != nil {
		return nil, err
	}
	body := swarm.Payload("ConfigChangeNotifyRequest", []byte(`{"requestId":"1","dataId":"`+crowdKey+`","group":"`+group+`","module":"config"}`))
	caller, err := dialUnary(t.http(), "/Request/fire", func(int) []byte { return body }, anyAnswer)
	if err != nil {
		c.close()
		return nil, err
	}
	c.ends, c.change = append(c.ends, caller.close), caller.do
	if err := c.fill(n, swarm.NewDialer(swarm.Plan{Addr: t.http(), Bare: true})); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// openPolls is a crowd of parked long polls on one config; the HTTP ceiling parks
// them too.
func openPolls(s *setup, t *target, n int, bare bool) (*crowd, error) {
	if !bare {
		if err := publishSeen(s.ctx, t, crowdKey, crowdContent(0)); err != nil {
			return nil, err
		}
	}
	c, err := openCrowd(s, t, n)
	if err != nil {
		return nil, err
	}
	if bare {
		c.change = func(int) error {
			resp, err := client.Get(t.url + "/fire")
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	} else {
		c.publishes(t)
	}
	c.rearm = func(k int) error {
		req := pollRequest(crowdKey, digest(crowdContent(k)))
		for i := range n {
			if err := c.swarm.Client(i).Send(req); err != nil {
				return err
			}
		}
		return nil
	}
	req := pollRequest(crowdKey, digest(crowdContent(0)))
	for range n {
		if _, err := c.swarm.DialPoll(t.http(), req); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// pollRequest is NAC-H1C-30, held for half a minute.
func pollRequest(key, md5 string) []byte {
	form := "Listening-Configs=" + key + "%02" + group + "%02" + md5 + "%01"
	return []byte(strings.Replace(string(formRequest(http.MethodPost, "/nacos/v1/cs/configs/listener", form)), "Host: bench\r\n", "Host: bench\r\nLong-Pulling-Timeout: 30000\r\n", 1))
}

// wave is one change as the crowd saw it.
type wave struct {
	first, last time.Duration
	cpu         time.Duration // of the server, for all
	own         time.Duration // of the driver, for all
	missed      int
}

// deadline is when a client that was not told counts as missed.
const deadline = 10 * time.Second

// tell makes the n-th change and waits until everybody knows.
func (c *crowd) tell(n int) (wave, error) {
	quiet(c.ctx, c.target)
	size := c.swarm.Len()
	c.mu.Lock()
	early := len(c.hits)
	c.hits = c.hits[:0]
	c.mu.Unlock()
	if early != 0 {
		return wave{}, fmt.Errorf("%d clients were told of no change", early)
	}
	if err := c.prepare(); err != nil {
		return wave{}, err
	}
	used, own, begin := c.target.cpu(), ownCPU(), time.Now()
	if err := c.change(n); err != nil {
		return wave{}, err
	}
	if _, err := c.until(deadline, func() bool { return len(c.hits) >= size }); err != nil {
		return wave{}, err
	}
	quiet(c.ctx, c.target) // acknowledgements too
	c.mu.Lock()
	defer c.mu.Unlock()
	w := wave{cpu: c.target.cpu() - used, own: ownCPU() - own, missed: size - len(c.hits)}
	if len(c.hits) > 0 {
		slices.SortFunc(c.hits, time.Time.Compare)
		w.first, w.last = c.hits[0].Sub(begin), c.hits[len(c.hits)-1].Sub(begin)
	}
	c.hits = c.hits[:0]
	return w, nil
}
