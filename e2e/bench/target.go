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
}

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

func (t *target) cpu() time.Duration {
	if t.proc == nil {
		return 0
	}
	return t.proc.cpu()
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

// startServer starts the binary on a fresh or given data directory and returns
// how long it took until it was ready.
func startServer(ctx context.Context, binary, data string, sets ...string) (*target, time.Duration, error) {
	port, err := freePair()
	if err != nil {
		return nil, 0, err
	}
	args := []string{"server", "--data-dir", data, "--set", fmt.Sprintf("nacos.server.main.port=%d", port), "--set", "server.bind=127.0.0.1", "--set", "log.level=warn"}
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, 0, err
	}
	p, err := start(filepath.Dir(data), binary, args...)
	if err != nil {
		return nil, 0, err
	}
	t := &target{name: "batata", url: fmt.Sprintf("http://127.0.0.1:%d", port), proc: p}
	took, err := until(ctx, 30*time.Second, t.ready)
	if err != nil {
		p.stop()
		return nil, 0, fmt.Errorf("start server (log %s): %w", p.log, err)
	}
	return t, took, nil
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
	p, err := start(dir, self, "-ceiling", kind, "-addr", addr, "-dir", dir)
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
