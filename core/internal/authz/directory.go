package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
)

// defaultLimit is the size of a listing that names none.
const defaultLimit = 1000

// Users implements auth.Directory.
func (e *Engine) Users(ctx context.Context, q auth.Query) ([]auth.User, error) {
	p, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	var out []auth.User
	for name, u := range p.users {
		if selects(q.User, name, q.Fuzzy) && name > q.From {
			out = append(out, auth.User{Name: name, Enabled: u.Enabled})
		}
	}
	slices.SortFunc(out, func(a, b auth.User) int { return strings.Compare(a.Name, b.Name) })
	return page(out, q.Limit), nil
}

// Roles implements auth.Directory. From resumes after a user.
func (e *Engine) Roles(ctx context.Context, q auth.Query) ([]auth.Binding, error) {
	p, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	var out []auth.Binding
	for user, roles := range p.roles {
		if !selects(q.User, user, q.Fuzzy) || user <= q.From && q.From != "" {
			continue
		}
		for _, r := range roles {
			if selects(q.Role, r, q.Fuzzy) {
				out = append(out, auth.Binding{User: user, Role: r})
			}
		}
	}
	slices.SortFunc(out, func(a, b auth.Binding) int {
		return strings.Compare(a.User+"\x00"+a.Role, b.User+"\x00"+b.Role)
	})
	return page(out, q.Limit), nil
}

// Grants implements auth.Directory. From resumes after a role.
func (e *Engine) Grants(ctx context.Context, q auth.Query) ([]auth.Grant, error) {
	v, err := e.settings.Store.View(ctx, kv.Local)
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	var out []auth.Grant
	err = eachRow(ctx, v, tableGrant, func(key []string, value []byte) error {
		if selects(q.Role, key[0], q.Fuzzy) && (q.From == "" || key[0] > q.From) {
			out = append(out, auth.Grant{Role: key[0], Resource: key[1], Actions: decodeActions(value)})
		}
		return nil
	})
	return page(out, q.Limit), err
}

func selects(want, have string, fuzzy bool) bool {
	return want == "" || want == have || fuzzy && strings.Contains(have, want)
}

func page[T any](all []T, limit int) []T {
	if limit <= 0 {
		limit = defaultLimit
	}
	return all[:min(len(all), limit)]
}

// maxAttempts bounds the compilations of one Apply.
const maxAttempts = 8

// Apply implements auth.Directory: all ops or none.
func (e *Engine) Apply(ctx context.Context, _ auth.Actor, ops []auth.Op) error {
	for range maxAttempts {
		var t kv.Txn
		for i := range ops {
			if err := e.compile(ctx, &t, &ops[i]); err != nil {
				return err
			}
		}
		res, err := e.settings.Store.Commit(ctx, t)
		if err != nil {
			return fmt.Errorf("change directory: %w", err)
		}
		if res.Committed {
			return nil
		}
	}
	return fmt.Errorf("change directory: %w", kv.ErrConflict)
}

// compile appends the row ops of one change.
func (e *Engine) compile(ctx context.Context, t *kv.Txn, o *auth.Op) error {
	put := func(table string, k, v []byte) {
		t.Then = append(t.Then, kv.Op{Kind: kv.Put, Table: table, Key: k, Value: v, SkipEqual: true})
	}
	drop := func(kind kv.Kind, table string, k []byte) {
		t.Then = append(t.Then, kv.Op{Kind: kind, Table: table, Key: k})
	}
	switch {
	case o.PutUser != nil:
		return e.putUser(ctx, t, o)
	case o.DropUser != "":
		drop(kv.Delete, tableUser, key(o.DropUser))
		drop(kv.DeletePrefix, tableBind, key(o.DropUser))
	case o.Bind != nil, o.Unbind != nil:
		return bind(t, o)
	case o.Grant != nil:
		put(tableGrant, key(o.Grant.Role, o.Grant.Resource), encodeActions(o.Grant.Actions))
	case o.Ungrant != nil:
		drop(kv.Delete, tableGrant, key(o.Ungrant.Role, o.Ungrant.Resource))
	default:
		return errors.New("change directory: empty op")
	}
	return nil
}

// errAdminRole keeps the role that may do everything out of reach of Apply.
var errAdminRole = errors.New("role " + auth.AdminRole + " cannot be bound or unbound")

func bind(t *kv.Txn, o *auth.Op) error {
	b, kind := o.Bind, kv.Put
	if b == nil {
		b, kind = o.Unbind, kv.Delete
	}
	if b.Role == auth.AdminRole {
		return errAdminRole
	}
	t.Then = append(t.Then, kv.Op{Kind: kind, Table: tableBind, Key: key(b.User, b.Role), SkipEqual: kind == kv.Put})
	return nil
}

// putUser creates a user, or changes one; without a password the present one
// stays, and must still be the present one when the change is committed.
func (e *Engine) putUser(ctx context.Context, t *kv.Txn, o *auth.Op) error {
	name := o.PutUser.Name
	if name == "" {
		return errBlankUser
	}
	row, err := e.kept(ctx, t, o)
	if err != nil {
		return err
	}
	if row.Hash == "" {
		if row.Hash, err = e.hashFor(ctx, name, o.Password); err != nil {
			return err
		}
	}
	row.Enabled = o.PutUser.Enabled
	value, err := encodeUser(row)
	if err != nil {
		return err
	}
	t.Then = append(t.Then, kv.Op{Kind: kv.Put, Table: tableUser, Key: key(name), Value: value, SkipEqual: true})
	return nil
}

// kept returns what a change without a password keeps of a user, guarded; the
// zero row when there is nothing to keep.
func (e *Engine) kept(ctx context.Context, t *kv.Txn, o *auth.Op) (userRow, error) {
	if o.Password != nil {
		return userRow{}, nil
	}
	rec, err := e.settings.Store.Get(ctx, tableUser, key(o.PutUser.Name))
	if errors.Is(err, kv.ErrNotFound) {
		return userRow{}, nil
	}
	if err != nil {
		return userRow{}, fmt.Errorf("read directory: %w", err)
	}
	t.If = append(t.If, kv.Compare{Table: tableUser, Key: rec.Key, Target: kv.Modified, Rel: kv.Equal, Num: uint64(rec.Modified)})
	return decodeUser(rec.Value)
}

// hashFor hashes a new password; that of an administrator must not be weak.
func (e *Engine) hashFor(ctx context.Context, name string, password []byte) (string, error) {
	p, err := e.current(ctx)
	if err != nil {
		return "", err
	}
	if p.admin(name) && !e.settings.AllowWeak {
		if err := weak(name, password); err != nil {
			return "", err
		}
	}
	return hash(password, e.settings.PasswordCost)
}
