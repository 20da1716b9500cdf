// Package admin is the door for the operator of the machine: a unix socket of
// mode 0600 in the data directory, so that whoever may read the data may also
// administer the running server, and nobody else. It also keeps the one-time
// setup token that opens the same door once from elsewhere (PRD-12).
//
// Server owns the goroutine of its HTTP server, from Serve to Close.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

const (
	socketName = "admin.sock"
	initPath   = "/admin/init"
	maxBody    = 4 << 10
	maxAnswer  = 1 << 20
	timeout    = 10 * time.Second
)

// Directory is where the first administrator comes from.
type Directory interface {
	Bootstrap(ctx context.Context, a auth.FirstAdmin) error
}

// Running is the server behind the socket. It may still be starting.
type Running interface {
	// Directory is nil while the server is starting.
	Directory() Directory
	Cluster
	Backups
}

// Server answers on the admin socket.
type Server struct {
	http *http.Server
	dir  *os.File
	done chan struct{}
}

// Serve opens the socket in dir, replacing one that a dead process left.
func Serve(dir string, running Running) (*Server, error) {
	handle, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	path := socketPath(handle)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		_ = handle.Close()
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		_ = handle.Close()
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+initPath, func(w http.ResponseWriter, r *http.Request) { initAdmin(w, r, running.Directory()) })
	clusterRoutes(mux, running)
	backupRoute(mux, running)
	s := &Server{
		http: &http.Server{Handler: mux, ReadTimeout: timeout, WriteTimeout: clusterTimeout + timeout},
		dir:  handle,
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // ends with Close
	}()
	return s, nil
}

// Close removes the socket and waits for its server to end.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return errors.Join(err, s.dir.Close())
}

// socketPath names the socket through the open directory, since the path of a
// unix socket may hold about a hundred bytes only.
func socketPath(dir *os.File) string {
	if path := filepath.Join(dir.Name(), socketName); len(path) < 100 {
		return path
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), socketName)
}

type initRequest struct {
	User     string `json:"user"`
	Password []byte `json:"password"`
}

type answer struct {
	Error string `json:"error,omitempty"`
}

// errStarting reports a server that cannot answer yet.
var errStarting = errors.New("the server is starting")

func initAdmin(w http.ResponseWriter, r *http.Request, users Directory) {
	if users == nil {
		reply(w, http.StatusServiceUnavailable, errStarting)
		return
	}
	var req initRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req); err != nil {
		reply(w, http.StatusBadRequest, err)
		return
	}
	err := users.Bootstrap(r.Context(), auth.FirstAdmin{User: req.User, Password: req.Password, Local: true})
	if err != nil {
		reply(w, http.StatusConflict, err)
		return
	}
	reply(w, http.StatusOK, nil)
}

func reply(w http.ResponseWriter, status int, err error) {
	var a answer
	if err != nil {
		a.Error = err.Error()
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the client may be gone
}

// ErrNotRunning reports that no server holds the socket of a data directory.
var ErrNotRunning = errors.New("no server is running on this data directory")

// Init asks the server that runs on dir to create the first administrator.
func Init(ctx context.Context, dir, user string, password []byte) error {
	return ask(ctx, dir, initPath, timeout, initRequest{User: user, Password: password}, nil)
}

// post sends a request to the server that runs on dir. A limit of 0 is none.
func post(ctx context.Context, dir, path string, limit time.Duration, request any) (*http.Response, error) {
	handle, err := os.Open(dir)
	if err != nil {
		return nil, ErrNotRunning
	}
	defer handle.Close()
	socket := socketPath(handle)
	client := &http.Client{Timeout: limit, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("ask server: %w", err)
	}
	return resp, nil
}

// ask posts a request to the server that runs on dir, and decodes what it answers
// beside an error into out.
func ask(ctx context.Context, dir, path string, limit time.Duration, request, out any) error {
	resp, err := post(ctx, dir, path, limit, request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask server: %w", err)
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("ask server: %w", err)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("ask server: %w", err)
	}
	return nil
}
