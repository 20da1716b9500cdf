// Package authz is the engine behind core/auth: users with bcrypt passwords,
// roles, grants, signed tokens, and the first administrator.
//
// Everything it knows lies in replicated tables of core, so that a change holds
// on every member as soon as it is applied. For decisions it keeps one immutable
// policy, rebuilt from the tables when one of them has moved; verified tokens
// and passwords are remembered until that happens (CTR-A01), passwords by a keyed
// digest. Failed logins are counted per user and address in memory.
//
// The package owns no goroutine. Start reading at New.
package authz

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
)

// The tables of the directory.
const (
	tableUser  = "auth_user"  // (user) → password hash, enabled
	tableBind  = "auth_bind"  // (user, role)
	tableGrant = "auth_grant" // (role, resource) → actions
	tableFirst = "auth_first" // one row once there was an administrator
)

// Tables declares what the engine keeps in the store.
func Tables() []kv.TableSpec {
	return []kv.TableSpec{
		{Name: tableUser, Residency: kv.Hot},
		{Name: tableBind, Residency: kv.Hot},
		{Name: tableGrant, Residency: kv.Hot},
		{Name: tableFirst, Residency: kv.Hot},
	}
}

// Settings wires an engine.
type Settings struct {
	Store  kv.Store // scope that holds Tables
	Secret []byte   // signs tokens; at least 32 bytes
	TTL    time.Duration
	// PasswordCost is that of bcrypt for new passwords and for users that are not
	// there; 0: the constant of this name. Less makes a stolen store cheap to guess
	// from and is for tests.
	PasswordCost int
	AllowWeak    bool   // let an administrator have a weak password
	SetupToken   string // opens Bootstrap to callers elsewhere; empty: closed to them
	Logger       *zap.Logger
	Now          func() time.Time // time.Now when nil
}

// Engine implements auth.Auth and auth.Directory.
type Engine struct {
	settings Settings
	tokens   signer
	verdicts verdicts  // of tokens
	logins   *attempts // per user and address
	setups   *attempts // per address
	policy   atomic.Pointer[policy]

	unknown   string // hash for users that are not there
	hashes    comparer
	passwords verdicts // of proofs
	proofKey  []byte
}

var (
	_ auth.Auth      = (*Engine)(nil)
	_ auth.Directory = (*Engine)(nil)
)

// MinSecret is the shortest secret that may sign tokens, in bytes.
const MinSecret = 32

// New checks the settings and returns an engine; it does no I/O.
func New(s Settings) (*Engine, error) {
	if len(s.Secret) < MinSecret {
		return nil, fmt.Errorf("token secret: want at least %d bytes, got %d", MinSecret, len(s.Secret))
	}
	if s.TTL <= 0 {
		return nil, errors.New("token life: must be positive")
	}
	if s.PasswordCost == 0 {
		s.PasswordCost = PasswordCost
	}
	if s.PasswordCost < bcrypt.MinCost || s.PasswordCost > bcrypt.MaxCost {
		return nil, fmt.Errorf("password cost: want %d to %d, got %d", bcrypt.MinCost, bcrypt.MaxCost, s.PasswordCost)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	proofKey := make([]byte, sha256.Size)
	rand.Read(proofKey) // never returns an error
	return &Engine{
		settings: s,
		tokens:   signer{secret: s.Secret, now: s.Now},
		logins:   newAttempts(s.Now),
		setups:   newAttempts(s.Now),
		unknown:  unknownHash(s.PasswordCost),
		hashes:   newComparer(),
		proofKey: proofKey,
	}, nil
}

// Epoch implements auth.Auth: the newest revision of the directory.
func (e *Engine) Epoch(ctx context.Context) (uint64, error) {
	v, err := e.settings.Store.View(ctx, kv.Local)
	if err != nil {
		return 0, fmt.Errorf("read directory: %w", err)
	}
	return epochOf(ctx, v)
}

func epochOf(ctx context.Context, v kv.View) (uint64, error) {
	var newest kv.Revision
	for _, table := range [...]string{tableUser, tableBind, tableGrant} {
		r, err := v.Changed(ctx, table)
		if err != nil {
			return 0, fmt.Errorf("read directory: %w", err)
		}
		newest = max(newest, r)
	}
	return uint64(newest), nil
}
