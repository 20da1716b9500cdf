package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/core/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// once is a directory that takes one administrator.
type once struct{ got *auth.FirstAdmin }

func (o *once) Bootstrap(_ context.Context, a auth.FirstAdmin) error {
	if o.got != nil {
		return auth.ErrBootstrapped
	}
	o.got = &a
	return nil
}

// server is a running one whose cluster fails everything it is asked.
type server struct {
	Cluster
	Backups
	users Directory
}

func (s server) Directory() Directory { return s.users }

// PRD-12: the socket of mode 0600 opens the door once, whatever the length of
// the path.
func TestInit(t *testing.T) {
	for name, sub := range map[string]string{"short": "d", "long": strings.Repeat("d", 120)} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), sub)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Init(t.Context(), dir, "root", []byte("p")); !errors.Is(err, ErrNotRunning) {
				t.Fatalf("Init() without a server = %v, want ErrNotRunning", err)
			}
			var users once
			s, err := Serve(dir, server{users: &users})
			if err != nil {
				t.Fatalf("Serve() = %v", err)
			}
			info, err := os.Stat(filepath.Join(dir, socketName))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode of the socket = %v, want 0600", info.Mode().Perm())
			}
			if err := Init(t.Context(), dir, "root", []byte("secret word")); err != nil {
				t.Fatalf("Init() = %v", err)
			}
			if users.got.User != "root" || string(users.got.Password) != "secret word" || !users.got.Local {
				t.Errorf("Bootstrap(%+v), want root, local, with the password", users.got)
			}
			if err := Init(t.Context(), dir, "root", []byte("x")); err == nil || !strings.Contains(err.Error(), "exists already") {
				t.Errorf("second Init() = %v, want the reason of the server", err)
			}
			if err := s.Close(); err != nil {
				t.Fatalf("Close() = %v", err)
			}
			if err := Init(t.Context(), dir, "root", []byte("p")); !errors.Is(err, ErrNotRunning) {
				t.Errorf("Init() after Close = %v, want ErrNotRunning", err)
			}
		})
	}
}

// A server that is still starting says so.
func TestInitStarting(t *testing.T) {
	dir := t.TempDir()
	s, err := Serve(dir, server{})
	if err != nil {
		t.Fatalf("Serve() = %v", err)
	}
	if err := Init(t.Context(), dir, "root", []byte("p")); err == nil || !strings.Contains(err.Error(), "is starting") {
		t.Errorf("Init() = %v, want that it is starting", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// asked is a cluster that notes what it is asked.
type asked struct {
	Cluster
	got []string
	err error
}

func (a *asked) note(what, member string) error {
	a.got = append(a.got, what+" "+member)
	return a.err
}

func (a *asked) Add(_ context.Context, m string) error      { return a.note("add", m) }
func (a *asked) Remove(_ context.Context, m string) error   { return a.note("remove", m) }
func (a *asked) Transfer(_ context.Context, m string) error { return a.note("transfer", m) }
func (a *asked) Form(context.Context) error                 { return a.note("form", "") }
func (a *asked) List(context.Context) (List, error) {
	return List{Cluster: "c", Members: []Member{{ID: "1", Role: "leader"}}}, a.err
}

func TestCluster(t *testing.T) {
	dir := t.TempDir()
	c := &asked{}
	s, err := Serve(dir, server{Cluster: c})
	if err != nil {
		t.Fatalf("Serve() = %v", err)
	}
	defer func() { _ = s.Close() }()
	ask := func() error {
		return errors.Join(
			Add(t.Context(), dir, "a:1"), Remove(t.Context(), dir, "m"), Transfer(t.Context(), dir, ""), Form(t.Context(), dir))
	}
	if err := ask(); err != nil {
		t.Errorf("error = %v", err)
	}
	if want := "add a:1,remove m,transfer ,form "; strings.Join(c.got, ",") != want {
		t.Errorf("asked %q, want %q", c.got, want)
	}
	if l, err := ListMembers(t.Context(), dir); err != nil || l.Cluster != "c" || len(l.Members) != 1 || l.Members[0].Role != "leader" {
		t.Errorf("ListMembers() = %+v, %v", l, err)
	}
	c.err = errors.New("bring others back first")
	if err := ask(); err == nil || strings.Count(err.Error(), "bring others back first") != 4 {
		t.Errorf("error = %v, want that of the cluster, four times", err)
	}
	if _, err := ListMembers(t.Context(), dir); err == nil || err.Error() != "bring others back first" {
		t.Errorf("ListMembers() = %v, want that of the cluster", err)
	}
}

// A socket that a killed process left does not stop the next one.
func TestServeOverStale(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, socketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Serve(dir, server{users: &once{}})
	if err != nil {
		t.Fatalf("Serve() = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func TestSetupToken(t *testing.T) {
	dir := t.TempDir()
	token, created, err := SetupToken(dir)
	if err != nil || !created || len(token) != 64 {
		t.Fatalf("SetupToken() = %q, %v, %v, want 64 hex digits, created", token, created, err)
	}
	info, err := os.Stat(filepath.Join(dir, tokenName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode().Perm())
	}
	again, created, err := SetupToken(dir)
	if err != nil || created || again != token {
		t.Errorf("second SetupToken() = %q, %v, %v, want the same", again, created, err)
	}
	for range 2 { // idempotent
		if err := RemoveSetupToken(dir); err != nil {
			t.Errorf("RemoveSetupToken() = %v", err)
		}
	}
}
