package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
)

// backups gives a real node's, and fails after some pieces if told to.
type backups struct {
	node *core.Node
	err  error // of Backup
	cut  int   // pieces before an error; 0: none
}

func (b backups) Backup(ctx context.Context) (cluster.Chunks, error) {
	if b.err != nil {
		return nil, b.err
	}
	c, err := b.node.Admin().Backup(ctx)
	return &cutShort{Chunks: c, left: b.cut}, err
}

type cutShort struct {
	cluster.Chunks
	left int
}

func (c *cutShort) Next(ctx context.Context) ([]byte, error) {
	if c.left--; c.left == 0 {
		return nil, errors.New("superseded")
	}
	return c.Chunks.Next(ctx)
}

func serve(t *testing.T, b Backups) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Serve(dir, server{Backups: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return dir
}

// REL-22: what the socket gives is a whole backup, and nobody takes one that was
// cut short for one.
func TestBackup(t *testing.T) {
	node, err := core.Start(t.Context(), core.Config{DataDir: t.TempDir(), Durability: core.OS})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = node.Close() }()

	var out bytes.Buffer
	info, n, err := Backup(t.Context(), serve(t, backups{node: node}), &out)
	if err != nil || n != int64(out.Len()) || info.Index == 0 || info.Cluster == 0 {
		t.Fatalf("Backup() = %+v, %d, %v", info, n, err)
	}
	if _, err := core.CheckBackup(&out); err != nil {
		t.Errorf("CheckBackup() = %v", err)
	}
	for cut := 1; cut <= 2; cut++ {
		if _, _, err := Backup(t.Context(), serve(t, backups{node: node, cut: cut}), io.Discard); err == nil || !strings.Contains(err.Error(), "before its end") {
			t.Errorf("Backup() cut before piece %d = %v, want an error", cut, err)
		}
	}
	refused := serve(t, backups{err: errors.New("no leader")})
	if _, _, err := Backup(t.Context(), refused, io.Discard); err == nil || err.Error() != "no leader" {
		t.Errorf("Backup() = %v, want the reason of the server", err)
	}
	if _, _, err := Backup(t.Context(), t.TempDir(), io.Discard); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Backup() without a server = %v, want %v", err, ErrNotRunning)
	}
	// Default deny: the right to it is the right to the socket, which is its owner's alone.
	if mode, err := os.Stat(filepath.Join(refused, socketName)); err != nil || mode.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket = %v, %v, want 0600", mode.Mode(), err)
	}
}

// ticking gives a piece each tick.
type ticking struct {
	tick *time.Ticker
	left int
}

func (c *ticking) Backup(context.Context) (cluster.Chunks, error) { return c, nil }
func (c *ticking) Close() error                                   { return nil }
func (c *ticking) Next(ctx context.Context) ([]byte, error) {
	if c.left == 0 {
		return nil, io.EOF
	}
	c.left--
	<-c.tick.C
	return make([]byte, tickSize), ctx.Err()
}

// tickSize is more than the server keeps before it writes.
const tickSize = 64 << 10

// A backup may take longer than the server allows any other answer.
func TestBackupOutlivesTimeouts(t *testing.T) {
	const limit, pieces = 200 * time.Millisecond, 10
	c := &ticking{tick: time.NewTicker(limit / 4), left: pieces}
	defer c.tick.Stop()
	mux := http.NewServeMux()
	backupRoute(mux, c)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ReadTimeout, s.Config.WriteTimeout = limit, limit
	s.Start()
	defer s.Close()
	resp, err := s.Client().Post(s.URL+backupPath, "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) != pieces*tickSize {
		t.Errorf("answer = %d bytes, %v, want %d", len(b), err, pieces*tickSize)
	}
}
