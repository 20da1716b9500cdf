package node

import (
	"errors"
	"testing"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
)

// Seed writes an administrator, when there is none, and changes of the directory
// into the data of a node that does not run.
func (n *Node) Seed(t *testing.T, admin, password string, ops ...auth.Op) {
	t.Helper()
	c, err := core.Start(t.Context(), core.Config{DataDir: n.Data})
	if err != nil {
		t.Fatalf("core.Start() = %v", err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}()
	first := auth.FirstAdmin{User: admin, Password: []byte(password), Local: true}
	if err := c.Directory().Bootstrap(t.Context(), first); err != nil && !errors.Is(err, auth.ErrBootstrapped) {
		t.Fatalf("Bootstrap() = %v", err)
	}
	if err := c.Directory().Apply(t.Context(), auth.Actor{Subject: "test"}, ops); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
}

// User is a user with a password, one role, and a right of that role.
func User(name, password, resource string, actions ...auth.Action) []auth.Op {
	role := "role-of-" + name
	return []auth.Op{
		{PutUser: &auth.User{Name: name, Enabled: true}, Password: []byte(password)},
		{Bind: &auth.Binding{User: name, Role: role}},
		{Grant: &auth.Grant{Role: role, Resource: resource, Actions: actions}},
	}
}
