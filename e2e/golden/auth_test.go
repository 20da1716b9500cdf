package golden_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/e2e/golden"
	"github.com/easynet-cn/batata/e2e/node"
)

// The scenarios of logins, on a server that needs them and has no user yet. They
// build on each other: the first makes the administrator.
func TestNacosAuth(t *testing.T) {
	n := node.New(t, node.Options{Sets: []string{"nacos.core.auth.enabled=true"}})
	// The tokens of e-auth-jwt are signed with a secret of a manual, which no
	// configuration may name (PRD-05); as a file of the data directory it passes.
	secret := hex.EncodeToString([]byte("ThisIsMyCustomSecretKey012345678"))
	if err := os.WriteFile(filepath.Join(n.Data, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a-auth-first", "b-auth-login", "e-auth-jwt"} {
		t.Run(name, func(t *testing.T) {
			golden.Play(t, filepath.Join("testdata", "nacos-auth", name+".jsonl"), golden.Options{Bases: map[string]string{"main": n.URL()}})
		})
	}
}

// Logins before and after there is a first user, where clients need none.
func TestNacosEmpty(t *testing.T) {
	n := node.Run(t, node.Options{})
	golden.Play(t, "testdata/nacos-empty/auth-off-first-user.jsonl", golden.Options{Bases: map[string]string{"main": n.URL()}})
}

// The rights of a user. Whoever makes the user waits for the admin APIs; here a
// seed does.
func TestNacosPermissions(t *testing.T) {
	n := node.New(t, node.Options{Sets: []string{"nacos.core.auth.enabled=true"}})
	n.Seed(t, "nacos", "gold-Pa55", node.User("goldau-user", "p1-goldau", "gold-auth-ns:*:*", auth.Read)...)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	golden.Play(t, "testdata/nacos-auth/c-auth-permissions.jsonl", golden.Options{Bases: map[string]string{"main": n.URL()}, NoPauses: true})
}
