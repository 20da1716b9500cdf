package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// target is one server with the protocol under measurement.
type target struct {
	name string
	url  string   // base URL of the HTTP side; gRPC is its port + 1000
	proc *process // nil: somebody else's

	members []*member // of a cluster, which has no URL and no process of its own
}

// ours says whether a failure ends the run.
func (t *target) ours() bool { return t.name == ourName }

const ourName = "batata"

func (t *target) http() string { return strings.TrimPrefix(t.url, "http://") }

func (t *target) grpc() (string, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return "", err
	}
	var port int
	if _, err := fmt.Sscanf(u.Port(), "%d", &port); err != nil {
		return "", fmt.Errorf("port of %s: %w", t.url, err)
	}
	return fmt.Sprintf("%s:%d", u.Hostname(), port+1000), nil
}

// cpu is what the process has used, or all members together.
func (t *target) cpu() (sum time.Duration) {
	for _, m := range t.members {
		sum += m.cpu()
	}
	if t.proc != nil {
		sum += t.proc.cpu()
	}
	return sum
}

func (t *target) rss() int64 {
	if t.proc == nil {
		return 0
	}
	return t.proc.rss()
}

func (t *target) stop() {
	for _, m := range t.members {
		m.stop()
	}
	if t.proc != nil {
		t.proc.stop()
	}
}

// metrics is the page of metrics; empty when the server does not answer.
func (t *target) metrics() string {
	resp, err := client.Get(t.url + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// ready says whether the server answers as ready.
func (t *target) ready() bool {
	resp, err := client.Get(t.url + "/nacos/v3/admin/core/state/readiness")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode == http.StatusOK && strings.Contains(string(b), `"code":0`)
}

var client = &http.Client{Timeout: time.Second}

// maker starts a server on an empty directory.
type maker struct {
	name  string
	start func(ctx context.Context, dir string) (*target, error)
}

// startServer starts the binary on a fresh or given data directory and returns
// how long it took until it was ready.
func startServer(ctx context.Context, binary, data string, env ...string) (*target, time.Duration, error) {
	port, err := freePair()
	if err != nil {
		return nil, 0, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, 0, err
	}
	p, err := start(filepath.Dir(data), env, binary, "server", "--data-dir", data, "--set", fmt.Sprintf("nacos.server.main.port=%d", port),
		"--set", "server.bind=127.0.0.1", "--set", "log.level=warn", "--set", "server.drain=0s")
	if err != nil {
		return nil, 0, err
	}
	t := &target{name: ourName, url: fmt.Sprintf("http://127.0.0.1:%d", port), proc: p}
	took, err := until(ctx, 30*time.Second, t.ready)
	if err != nil {
		p.stop()
		return nil, 0, fmt.Errorf("start server (log %s): %w", p.log, err)
	}
	return t, took, nil
}

// our makes servers of the binary.
func our(binary string, env ...string) maker {
	return maker{ourName, func(ctx context.Context, dir string) (*target, error) {
		t, _, err := startServer(ctx, binary, filepath.Join(dir, ourName), env...)
		return t, err
	}}
}

// settling is what a peer is given before its first write: one that is asked too
// early may never serve what it accepted.
const settling = 3 * time.Second

// peer makes servers of somebody else, or takes the one that runs at a URL.
func peer(name, how string) maker {
	if strings.HasPrefix(how, "http://") {
		return maker{name, func(context.Context, string) (*target, error) { return &target{name: name, url: how}, nil }}
	}
	return maker{name, func(ctx context.Context, dir string) (t *target, err error) {
		for attempt := range 3 { // some serve nothing when they start, now and then
			t, err = startPeer(ctx, name, how, filepath.Join(dir, fmt.Sprintf("%s-%d", name, attempt)))
			if err == nil || ctx.Err() != nil {
				return t, err
			}
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		return nil, err
	}}
}

func startPeer(ctx context.Context, name, how, data string) (*target, error) {
	port, err := freePair()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	env := []string{fmt.Sprintf("PORT=%d", port), fmt.Sprintf("GRPC_PORT=%d", port+1000), "DATA=" + data}
	p, err := start(data, env, "/bin/sh", "-c", how)
	if err != nil {
		return nil, err
	}
	t := &target{name: name, url: fmt.Sprintf("http://127.0.0.1:%d", port), proc: p}
	_, err = until(ctx, 60*time.Second, func() bool {
		g, _ := t.grpc()
		return accepts(t.http()) && accepts(g)
	})
	if err == nil {
		wait(ctx, settling)
		err = publishSeen(ctx, t, "probe", "x")
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s (log %s): %w", name, p.log, err)
	}
	return t, nil
}

// startCeiling starts this program again as one of the ceilings.
func startCeiling(ctx context.Context, dir, kind string) (*target, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	p, err := start(dir, nil, self, "-ceiling", kind, "-addr", addr, "-dir", dir)
	if err != nil {
		return nil, err
	}
	if _, err := until(ctx, 30*time.Second, func() bool { return accepts(addr) }); err != nil {
		p.stop()
		return nil, fmt.Errorf("start ceiling %s (log %s): %w", kind, p.log, err)
	}
	return &target{name: kind, url: "http://" + addr, proc: p}, nil
}

// keys makes names nobody has used before in this run.
type keys struct{ cell atomic.Int64 }

func (k *keys) fresh() func(int) string {
	cell := k.cell.Add(1)
	return func(n int) string { return fmt.Sprintf("k%d-%08d", cell, n) }
}

// publish writes one config over plain HTTP.
func publish(t *target, name, content string) error {
	resp, err := client.PostForm(t.url+"/nacos/v1/cs/configs", url.Values{"dataId": {name}, "group": {group}, "content": {content}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("publish: %s", resp.Status)
	}
	return nil
}

// publishSeen publishes and waits until the server serves it, which some do a
// moment after they answered.
func publishSeen(ctx context.Context, t *target, name, content string) error {
	if err := publish(t, name, content); err != nil {
		return err
	}
	_, err := until(ctx, deadline, func() bool {
		resp, err := client.Get(t.url + "/nacos/v1/cs/configs?dataId=" + name + "&group=" + group)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && string(b) == content
	})
	return err
}
