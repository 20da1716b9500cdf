package authz

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
)

// firstKey is the key of the row that closes Bootstrap for ever.
var firstKey = []byte("first") //nolint:gochecknoglobals // a constant in all but syntax

// Bootstrapped implements auth.Directory.
func (e *Engine) Bootstrapped(ctx context.Context) (bool, error) {
	_, err := e.settings.Store.Get(ctx, tableFirst, firstKey)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, kv.ErrNotFound):
		return false, nil
	default:
		return false, fmt.Errorf("read directory: %w", err)
	}
}

// Bootstrap implements auth.Directory. The row that closes it and the user are
// written by one transaction, so two callers cannot both be first.
func (e *Engine) Bootstrap(ctx context.Context, a auth.FirstAdmin) error {
	done, err := e.Bootstrapped(ctx)
	if err != nil {
		return err
	}
	if done {
		return auth.ErrBootstrapped
	}
	if err := e.admit(a); err != nil {
		return err
	}
	if a.User == "" {
		return errBlankUser
	}
	if !e.settings.AllowWeak {
		if err := weak(a.User, a.Password); err != nil {
			return err
		}
	}
	t, err := firstTxn(a, e.settings.PasswordCost)
	if err != nil {
		return err
	}
	res, err := e.settings.Store.Commit(ctx, t)
	if err != nil {
		return fmt.Errorf("create administrator: %w", err)
	}
	if !res.Committed {
		return auth.ErrBootstrapped
	}
	e.settings.Logger.Info("first administrator created", zap.String("user", a.User), zap.String("client", a.Addr))
	return nil
}

// admit checks the setup token of a caller that is not local.
func (e *Engine) admit(a auth.FirstAdmin) error {
	if a.Local {
		return nil
	}
	if err := e.setups.check(a.Addr); err != nil {
		return err
	}
	want := e.settings.SetupToken
	if want == "" || subtle.ConstantTimeCompare([]byte(want), []byte(a.Token)) != 1 {
		e.setups.fail(a.Addr)
		return auth.ErrSetupToken
	}
	return nil
}

func firstTxn(a auth.FirstAdmin, cost int) (kv.Txn, error) {
	hashed, err := hash(a.Password, cost)
	if err != nil {
		return kv.Txn{}, err
	}
	value, err := encodeUser(userRow{Hash: hashed, Enabled: true})
	if err != nil {
		return kv.Txn{}, err
	}
	return kv.Txn{
		If: []kv.Compare{{Table: tableFirst, Key: firstKey, Target: kv.Modified, Rel: kv.Equal, Num: 0}},
		Then: []kv.Op{
			{Kind: kv.Put, Table: tableFirst, Key: firstKey, Value: []byte(a.User)},
			{Kind: kv.Put, Table: tableUser, Key: key(a.User), Value: value},
			{Kind: kv.Put, Table: tableBind, Key: key(a.User, auth.AdminRole)},
		},
	}, nil
}
