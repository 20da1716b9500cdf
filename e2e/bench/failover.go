package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// lightEvery is how often the light writer begins a write, whatever became of
	// those before.
	lightEvery = 5 * time.Millisecond
	// outage is how long a cluster is waited for, settled how long the writer goes
	// on before a member is ended and after another one has taken over.
	outage  = 15 * time.Second
	settled = 500 * time.Millisecond
)

// writer writes to one member, many at once.
type writer interface {
	open() (writing, error)
}

// writing is one connection of a writer.
type writing interface {
	write(ctx context.Context, key string) error
	has(ctx context.Context, key string) (bool, error)
	close()
}

// takeover is how a cluster got over the end of its leader.
type takeover struct {
	pause time.Duration // without an accepted write
	fails int
	lost  int // acknowledged, and not there afterwards
	acked int
}

// failover ends the leader again and again, by kill -9 and by SIGTERM, while
// another member is written to (GOAL-21, BM-17).
func (s *setup) failover(rep *report) error {
	if s.o.server == "" || s.o.failovers == 0 {
		return nil
	}
	t := &table{
		title: "When the leader ends",
		intro: fmt.Sprintf("Three members, election timeout 1 s in both, a write begun every %v on one that follows. Killed: the\ntime from kill -9 of the leader to the first accepted write that was begun after its end. Stopped: the longest\ntime without an accepted write from SIGTERM on. Failed writes were answered with an error; lost ones were\nacknowledged and not there when the member was back.", lightEvery),
		head:  []string{"Row", "Rounds", "Server", "p50", "p95", "of E3, p95", "longest", "writes", "failed", "lost", "Goal"},
	}
	rep.tables = append(rep.tables, t)
	for _, r := range []struct {
		name, goal string
		sig        syscall.Signal
	}{
		{"leader killed", "GOAL-21 p95 ≤ E3", syscall.SIGKILL},
		{"leader stopped", "GOAL-21 ≤ 0.1 s", syscall.SIGTERM},
	} {
		if !s.wants(r.name) {
			continue
		}
		if len(s.servers) == 0 || len(s.servers[0].members) == 0 {
			if err := s.upTrios(); err != nil {
				return err
			}
		}
		round := 0
		all, _, err := contest(s, s.o.failovers, etcdTrio, func(to *target, _ bool) (*takeover, error) {
			round++
			return s.takeOver(to, r.sig, round/2)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		ceiling := pauses(all[etcdTrio])
		for _, who := range order(all) {
			p, goal := pauses(all[who]), ""
			if who == ourName {
				goal = r.goal
			}
			sum := total(all[who])
			t.add(r.name, len(p), shown(who), percentile(p, 50).Round(time.Millisecond), percentile(p, 95).Round(time.Millisecond),
				fmt.Sprintf("%.2f", float64(percentile(p, 95))/float64(percentile(ceiling, 95))),
				percentile(p, 100).Round(time.Millisecond), sum.acked, sum.fails, sum.lost, goal)
		}
	}
	return nil
}

func pauses(all []*takeover) (out []time.Duration) {
	for _, k := range all {
		out = append(out, k.pause)
	}
	return sorted(out)
}

func total(all []*takeover) (sum takeover) {
	for _, k := range all {
		sum.fails += k.fails
		sum.lost += k.lost
		sum.acked += k.acked
	}
	return sum
}

// takeOver ends the leader once, and starts it again. turn says which of the
// others is written to.
func (s *setup) takeOver(t *target, sig syscall.Signal, turn int) (*takeover, error) {
	leader, err := t.leader(s.ctx)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(t.members), func(m *member) bool { return m == leader })
	w, err := others[turn%len(others)].writer.open()
	if err != nil {
		return nil, err
	}
	defer w.close()
	l := &light{w: w, key: s.keys.fresh()}
	l.run(s.ctx)
	wait(s.ctx, settled)
	begin := time.Now()
	leader.proc.end(sig)
	gone := time.Now()
	_, err = until(s.ctx, outage, func() bool { return l.acceptedAfter(gone) })
	wait(s.ctx, settled)
	l.stop()
	if err != nil {
		return nil, fmt.Errorf("no write was accepted after the end of the leader: %w", err)
	}
	out := &takeover{pause: l.first(gone).Sub(begin)}
	if sig != syscall.SIGKILL {
		out.pause = l.longest(begin)
	}
	if err := leader.start(); err != nil {
		return nil, err
	}
	if err := t.whole(s.ctx); err != nil {
		return nil, err
	}
	out.fails, out.acked = l.fails, len(l.done)
	out.lost, err = l.missing(s.ctx)
	return out, err
}

// light is the light writer.
type light struct {
	w      writing
	key    func(int) string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards what follows
	done  []span
	fails int
	why   error // of the last one that failed
}

// span is one accepted write.
type span struct {
	n          int
	begin, end time.Time
}

// run writes until stop.
func (l *light) run(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(ctx)
	l.wg.Go(func() {
		tick := time.NewTicker(lightEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			l.wg.Go(func() { l.once(n) })
		}
	})
}

func (l *light) once(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), outage)
	defer cancel()
	begin := time.Now()
	err := l.w.write(ctx, l.key(n))
	end := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fails++
		l.why = err
		return
	}
	l.done = append(l.done, span{n, begin, end})
}

// stop begins no more writes and waits for those under way.
func (l *light) stop() {
	l.cancel()
	l.wg.Wait()
}

func (l *light) acceptedAfter(t time.Time) bool { return !l.first(t).IsZero() }

// first is when a write that was begun after t was accepted.
func (l *light) first(t time.Time) (first time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.done {
		if d.begin.After(t) && (first.IsZero() || d.end.Before(first)) {
			first = d.end
		}
	}
	return first
}

// longest is the longest time without an accepted write after t.
func (l *light) longest(t time.Time) (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ends []time.Time
	for _, d := range l.done {
		ends = append(ends, d.end)
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i, at := range ends {
		if i > 0 && at.After(t) {
			longest = max(longest, at.Sub(ends[i-1]))
		}
	}
	return longest
}

// missing counts acknowledged writes that are not there.
func (l *light) missing(ctx context.Context) (n int, err error) {
	for _, d := range l.done {
		ok, err := l.w.has(ctx, l.key(d.n))
		if err != nil {
			return 0, fmt.Errorf("read what was written: %w", err)
		}
		if !ok {
			n++
		}
	}
	return n, nil
}

// configWriter publishes configs over gRPC.
type configWriter struct {
	s *setup
	m *member
}

type configWriting struct{ *grpcCaller }

func (w configWriter) open() (writing, error) {
	c, err := dialSDK(w.s, w.m.target, "config")
	if err != nil {
		return nil, err
	}
	return configWriting{c}, nil
}

func (w configWriting) write(ctx context.Context, key string) error {
	answer, err := w.ask(ctx, payload("ConfigPublishRequest", map[string]any{"dataId": key, "group": group, "tenant": "", "content": "light"}))
	if err != nil {
		return err
	}
	return succeeded(answer)
}

func (w configWriting) has(ctx context.Context, key string) (bool, error) {
	answer, err := w.ask(ctx, payload("ConfigQueryRequest", map[string]any{"dataId": key, "group": group, "tenant": ""}))
	return err == nil && succeeded(answer) == nil, err
}

// putWriter puts keys into etcd.
type putWriter struct{ m *member }

type putWriting struct{ put, get *grpcCaller }

func (w putWriter) open() (writing, error) {
	put, err := dialGRPC(w.m.http(), "/etcdserverpb.KV/Put", nil)
	if err != nil {
		return nil, err
	}
	get, err := dialGRPC(w.m.http(), "/etcdserverpb.KV/Range", nil)
	if err != nil {
		put.close()
		return nil, err
	}
	return putWriting{put, get}, nil
}

func (w putWriting) write(ctx context.Context, key string) error {
	_, err := w.put.ask(ctx, putRequest(func(int) string { return key }, "light")(0))
	return err
}

func (w putWriting) has(ctx context.Context, key string) (bool, error) {
	req := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	answer, err := w.get.ask(ctx, req)
	kv, _ := protoField(answer, 2)
	return kv != nil, err
}

func (w putWriting) close() {
	w.put.close()
	w.get.close()
}
