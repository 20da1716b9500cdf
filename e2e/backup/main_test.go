package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/e2e/node"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

func bin() string { return filepath.Join(node.Root(), "bin", "batata") }

// batata prepares a command line; limited, so that nothing outlives the test.
func batata(t *testing.T, binary string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = t.TempDir() // no configuration file by accident
	return cmd
}

// output runs a command line that is to succeed.
func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := batata(t, bin(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("batata %s: %v\n%s", args, err, out)
	}
	return string(out)
}

func client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

func publish(ctx context.Context, c *http.Client, n *node.Node, name, content string) error {
	form := url.Values{"dataId": {name}, "group": {"BACKUP"}, "content": {content}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL()+"/nacos/v1/cs/configs", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(b) != "true" {
		return fmt.Errorf("%d %s %w", resp.StatusCode, b, err)
	}
	return nil
}

func mustPublish(t *testing.T, n *node.Node, name, content string) {
	t.Helper()
	if err := publish(t.Context(), client(), n, name, content); err != nil {
		t.Fatalf("publish %s: %v", name, err)
	}
}

// read returns the content of a config; empty when there is none.
func read(t *testing.T, n *node.Node, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/nacos/v1/cs/configs?group=BACKUP&dataId="+name, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client().Do(req)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		t.Fatalf("read %s: %d %s %v", name, resp.StatusCode, b, err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return ""
	}
	return string(b)
}

func number(t *testing.T, n *node.Node, name string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(read(t, n, name), 10, 64)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return v
}

// pair is a writer that raises one config, then another, to the same number: at
// every moment the second is as high as the first, or one less.
type pair struct {
	at            *node.Node
	first, second string
	acked         atomic.Int64 // of both
}

// load is pairs that write until it is stopped.
type load struct {
	pairs  []*pair
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed atomic.Pointer[error]
}

func startLoad(nodes []*node.Node, each int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for i := range each * len(nodes) {
		p := &pair{at: nodes[i%len(nodes)], first: fmt.Sprint("first-", i), second: fmt.Sprint("second-", i)}
		l.pairs = append(l.pairs, p)
		l.wg.Go(func() { l.write(ctx, p) })
	}
	return l
}

func (l *load) write(ctx context.Context, p *pair) {
	c := client()
	for i := int64(1); ctx.Err() == nil; i++ {
		for _, name := range []string{p.first, p.second} {
			if err := publish(ctx, c, p.at, name, strconv.FormatInt(i, 10)); err != nil {
				if ctx.Err() == nil {
					l.failed.CompareAndSwap(nil, &err)
				}
				return
			}
		}
		p.acked.Store(i)
	}
}

func (l *load) acked() []int64 {
	out := make([]int64, len(l.pairs))
	for i, p := range l.pairs {
		out[i] = p.acked.Load()
	}
	return out
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.wg.Wait()
	if p := l.failed.Load(); p != nil {
		t.Errorf("a write failed: %v", *p)
	}
}

// slow reads as much at a time as it is asked for, with a pause after each piece.
type slow struct {
	r     io.Reader
	pause time.Duration
	done  func() // after each piece
}

// drain reads to the end.
func (s *slow) drain(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	tick := time.NewTicker(s.pause)
	defer tick.Stop()
	for {
		n, err := io.CopyN(&out, s.r, 256<<10)
		if n > 0 && s.done != nil {
			s.done()
		}
		if err != nil {
			return out.Bytes()
		}
		<-tick.C
	}
}
