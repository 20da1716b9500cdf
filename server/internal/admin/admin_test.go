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
			s, err := Serve(dir, &users)
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

// A socket that a killed process left does not stop the next one.
func TestServeOverStale(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, socketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Serve(dir, &once{})
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
