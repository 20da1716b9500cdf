package authz

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/easynet-cn/batata/core/auth"
)

// NAD-AUTH-70: bcrypt 2a, 72 characters at the most.
func TestHash(t *testing.T) {
	tests := map[string]struct {
		password string
		ok       bool
	}{
		"plain":         {"secret word", true},
		"72 characters": {strings.Repeat("x", 72), true},
		"72 wide":       {strings.Repeat("密", 72), true},
		"73 characters": {strings.Repeat("x", 73), false},
		"blank":         {"", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := hash([]byte(tt.password), bcrypt.MinCost)
			if !tt.ok {
				var refused *auth.PasswordError
				if !errors.As(err, &refused) || tt.password != "" && strings.Contains(err.Error(), tt.password) {
					t.Errorf("hash() = %v, want a refusal without the password", err)
				}
				return
			}
			if err != nil || !strings.HasPrefix(h, "$2a$04$") {
				t.Fatalf("hash() = %q, %v, want $2a$04$", h, err)
			}
			c := newComparer()
			right, err := c.matches(t.Context(), h, []byte(tt.password))
			wrong, err2 := c.matches(t.Context(), h, []byte(tt.password[1:]))
			long, err3 := c.matches(t.Context(), h, []byte(tt.password+strings.Repeat("x", 72)))
			if !right || wrong || long || err != nil || err2 != nil || err3 != nil {
				t.Errorf("matches() = %v, %v, %v, want the password told from others", right, wrong, long)
			}
		})
	}
}

// The answer for an unknown user takes a whole comparison.
func TestUnknownHash(t *testing.T) {
	const cost = bcrypt.MinCost + 1
	h := []byte(unknownHash(cost))
	if err := bcrypt.CompareHashAndPassword(h, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("compare with unknownHash(%d) = %v, want a mismatch", cost, err)
	}
	if got, err := bcrypt.Cost(h); err != nil || got != cost {
		t.Errorf("cost of unknownHash(%d) = %d, %v", cost, got, err)
	}
}

// PRD-12: passwords no administrator may have.
func TestWeak(t *testing.T) {
	for password, refused := range map[string]bool{
		"nacos": true, "Admin": true, "batata": true, "administrator": true, "short": true, "long enough": false,
	} {
		if err := weak("Administrator", []byte(password)); (err != nil) != refused {
			t.Errorf("weak(%q) = %v, want refused: %v", password, err, refused)
		}
	}
}

// SEC-01: a generated secret is kept, 0600, and a damaged file is told.
func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	first, created, err := Secret(path)
	if err != nil || !created || len(first) != MinSecret {
		t.Fatalf("Secret() = %d bytes, %v, %v, want %d, created", len(first), created, err, MinSecret)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	again, created, err := Secret(path)
	if err != nil || created || string(again) != string(first) {
		t.Errorf("second Secret() = %x, %v, %v, want the first", again, created, err)
	}
	if err := os.WriteFile(path, []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Secret(path); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Secret() of a damaged file = %v", err)
	}
}
