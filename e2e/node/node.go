// Package node runs the built server for tests: on free ports, on a data
// directory of the test's choice, to be stopped, killed and started again.
//
// A Node owns its child process and the goroutine that waits for it; both end
// with the test.
package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options of a node; the zero value runs bin/batata on a fresh directory.
type Options struct {
	Binary string   // "": bin/batata of this checkout
	Data   string   // "": a fresh directory
	Sets   []string // key=value
	Env    []string // NAME=value, beside the test's environment
	Port   int      // 0: a free pair
}

// Node is one server process.
type Node struct {
	Port int
	Data string

	options Options
	binary  string
	client  *http.Client

	mu  sync.Mutex // guards cmd, done and log
	cmd *exec.Cmd
	// done is closed when the present process has ended.
	done chan struct{}
	log  bytes.Buffer
}

// Root is the directory of the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// New prepares a node without starting it. It is killed at the end of the test.
func New(t *testing.T, o Options) *Node {
	t.Helper()
	n := &Node{
		Port: o.Port, Data: o.Data, options: o, binary: o.Binary,
		client: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if n.binary == "" {
		n.binary = filepath.Join(Root(), "bin", "batata")
	}
	if _, err := os.Stat(n.binary); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	if n.Data == "" {
		n.Data = t.TempDir()
	}
	if n.Port == 0 {
		n.Port = freePair(t)
	}
	t.Cleanup(func() {
		n.Kill()
		if t.Failed() {
			t.Logf("log of the server:\n%s", tail(n.Log(), 8<<10))
		}
	})
	return n
}

// Run is New and Start.
func Run(t *testing.T, o Options) *Node {
	t.Helper()
	n := New(t, o)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// freePair finds a port that is free together with the one 1000 above it, where
// clients look for gRPC.
func freePair(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port+1000 > 65535 {
			continue
		}
		if above, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1000)); err == nil {
			_ = above.Close()
			return port
		}
	}
	t.Fatal("no free pair of ports")
	return 0
}

// URL is the base URL of the main port.
func (n *Node) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", n.Port) }

// Log returns what the server has written so far, over all its lives.
func (n *Node) Log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// writer appends to the log under its lock.
type writer struct{ n *Node }

func (w writer) Write(b []byte) (int, error) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	return w.n.log.Write(b)
}

// Spawn starts the process without waiting for it. The environment given, as
// NAME=value, holds for this life of the server only.
func (n *Node) Spawn(env ...string) error {
	args := []string{"server", "--data-dir", n.Data, "--set", fmt.Sprintf("nacos.server.main.port=%d", n.Port), "--set", "server.bind=127.0.0.1", "--set", "server.drain=0s"}
	for _, s := range n.options.Sets {
		args = append(args, "--set", s)
	}
	cmd := exec.Command(n.binary, args...)
	cmd.Env = slices.Concat(os.Environ(), n.options.Env, env)
	cmd.Dir = os.TempDir() // no configuration file by accident
	cmd.Stdout, cmd.Stderr = writer{n}, writer{n}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	done := make(chan struct{})
	n.mu.Lock()
	n.cmd, n.done = cmd, done
	n.mu.Unlock()
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return nil
}

// readyLimit bounds a start, recovery included.
const readyLimit = 30 * time.Second

// Start starts the process, as Spawn, and waits until it is ready.
func (n *Node) Start(ctx context.Context, env ...string) error {
	if err := n.Spawn(env...); err != nil {
		return err
	}
	return n.WaitReady(ctx)
}

// WaitReady polls the readiness of the present process.
func (n *Node) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !n.ready(ctx) {
		select {
		case <-n.Done():
			return fmt.Errorf("the server ended: %s", tail(n.Log(), 2<<10))
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %s", readyLimit, tail(n.Log(), 2<<10))
		case <-tick.C:
		}
	}
	return nil
}

func (n *Node) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+"/nacos/v3/admin/core/state/readiness", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(body), `"code":0`)
}

// Done is closed when the present process has ended.
func (n *Node) Done() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.done
}

// Pid is the id of the present process; 0 when none runs.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	select {
	case <-n.done:
		return 0
	default:
		return n.cmd.Process.Pid
	}
}

// Kill ends the process with SIGKILL and waits for it; idempotent.
func (n *Node) Kill() { n.signal(syscall.SIGKILL) }

// Stop ends the process with SIGTERM and waits for it; idempotent.
func (n *Node) Stop() { n.signal(syscall.SIGTERM) }

// Signal sends a signal and does not wait.
func (n *Node) Signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(s) // an error means it has ended
	}
}

func (n *Node) signal(s syscall.Signal) {
	n.mu.Lock()
	cmd, done := n.cmd, n.done
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s) // an error means it has ended
	<-done
}

// ExitCode is that of the last process, once it has ended; -1 when a signal
// ended it.
func (n *Node) ExitCode() int {
	<-n.Done()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.ProcessState.ExitCode()
}
