package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/cluster"
)

const (
	backupPath = "/admin/backup"
	// backupStall is how long one piece of a backup may take to be read: it pins
	// pages of the state meanwhile.
	backupStall = time.Minute
)

// Backups opens the state of the running server.
type Backups interface {
	Backup(ctx context.Context) (cluster.Chunks, error)
}

func backupRoute(mux *http.ServeMux, b Backups) {
	mux.HandleFunc("POST "+backupPath, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		// It takes as long as it takes; one that stands still is cut below.
		if err := rc.SetReadDeadline(time.Time{}); err != nil {
			reply(w, http.StatusInternalServerError, err)
			return
		}
		chunks, err := b.Backup(r.Context())
		if err != nil {
			reply(w, http.StatusServiceUnavailable, err)
			return
		}
		defer func() { _ = chunks.Close() }()
		w.Header().Set("Content-Type", "application/octet-stream")
		err = rc.Flush() // from here on it is an answer, whole or not
		if err = errors.Join(err, sendChunks(r.Context(), w, rc, chunks)); err != nil {
			panic(http.ErrAbortHandler) //nolint:forbidigo // the only way to end an answer so that it is no whole one
		}
	})
}

func sendChunks(ctx context.Context, w io.Writer, rc *http.ResponseController, chunks cluster.Chunks) error {
	for {
		b, err := chunks.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rc.SetWriteDeadline(time.Now().Add(backupStall)) // for the end
		}
		if err != nil {
			return err
		}
		if err := rc.SetWriteDeadline(time.Now().Add(backupStall)); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
}

// Backup asks the server that runs on dir for its state and writes it to w. It
// fails unless every byte has come as it was sent.
func Backup(ctx context.Context, dir string, w io.Writer) (core.BackupInfo, int64, error) {
	resp, err := post(ctx, dir, backupPath, 0, struct{}{})
	if err != nil {
		return core.BackupInfo{}, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var a answer
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
			return core.BackupInfo{}, 0, fmt.Errorf("ask server: %s: %w", resp.Status, err)
		}
		return core.BackupInfo{}, 0, errors.New(a.Error)
	}
	n := &counter{w: w}
	info, err := core.CheckBackup(io.TeeReader(resp.Body, n))
	if err != nil {
		return core.BackupInfo{}, n.n, fmt.Errorf("the server has ended the backup before its end, see its log: %w", err)
	}
	return info, n.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
