package authz

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/easynet-cn/batata/core/auth"
)

// Authenticate implements auth.Auth. A token wins over a password.
func (e *Engine) Authenticate(ctx context.Context, c auth.Credentials) (*auth.Identity, error) {
	p, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		return e.byToken(p, c)
	}
	if c.User == "" {
		return nil, auth.ErrCredentials
	}
	return e.byPassword(ctx, p, c)
}

func (e *Engine) byToken(p *policy, c auth.Credentials) (*auth.Identity, error) {
	if id := e.verdicts.lookup(c.Token, p.epoch, e.settings.Now()); id != nil {
		return withAddr(id, c.Addr), nil
	}
	subject, expires, err := e.tokens.verify(c.Token)
	if err != nil {
		return nil, err
	}
	if u, ok := p.users[subject]; !ok || !u.Enabled {
		return nil, auth.ErrTokenSubject
	}
	id := p.identity(subject, "token", expires)
	e.verdicts.remember(c.Token, id)
	return withAddr(id, c.Addr), nil
}

func (e *Engine) byPassword(ctx context.Context, p *policy, c auth.Credentials) (*auth.Identity, error) {
	key := c.User + "\x00" + c.Addr
	if err := e.logins.check(key); err != nil {
		return nil, err
	}
	proof := e.proof(c)
	if id := e.passwords.lookup(proof, p.epoch, e.settings.Now()); id != nil {
		return withAddr(id, c.Addr), nil
	}
	u, known := p.users[c.User]
	stored := e.unknown
	if known {
		stored = u.Hash
	}
	right, err := e.hashes.matches(ctx, stored, c.Password)
	if err != nil {
		return nil, err
	}
	if !right || !known || !u.Enabled {
		e.logins.fail(key)
		return nil, auth.ErrCredentials
	}
	e.logins.clear(key)
	id := p.identity(c.User, "password", time.Time{})
	e.passwords.remember(proof, id)
	return withAddr(id, c.Addr), nil
}

// proof is what a verified password is remembered by. It tells nothing about the
// password to who has not the key, which is of this process alone.
func (e *Engine) proof(c auth.Credentials) string {
	mac := hmac.New(sha256.New, e.proofKey)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(c.User))))
	mac.Write([]byte(c.User))
	mac.Write(c.Password)
	return string(mac.Sum(nil))
}

func (p *policy) identity(user, source string, expires time.Time) *auth.Identity {
	return &auth.Identity{
		Actor:   auth.Actor{Subject: user, Source: source, Admin: p.admin(user)},
		Roles:   p.roles[user],
		Expires: expires,
		Epoch:   p.epoch,
	}
}

// withAddr returns id as seen from one address; identities are shared.
func withAddr(id *auth.Identity, addr string) *auth.Identity {
	if id.Actor.Addr == addr {
		return id
	}
	seen := *id
	seen.Actor.Addr = addr
	return &seen
}

// Authorize implements auth.Auth.
func (e *Engine) Authorize(ctx context.Context, id *auth.Identity, rs []auth.Request) ([]auth.Decision, error) {
	out := make([]auth.Decision, len(rs))
	if id == nil {
		for i := range out {
			out[i].Reason = "no credentials"
		}
		return out, nil
	}
	p, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	admin, roles := p.admin(id.Actor.Subject), p.roles[id.Actor.Subject]
	for i, r := range rs {
		if out[i].Allowed = admin || p.allows(roles, r); !out[i].Allowed {
			out[i].Reason = "no grant"
		}
	}
	return out, nil
}

// Issue implements auth.Auth.
func (e *Engine) Issue(_ context.Context, id *auth.Identity, ttl time.Duration) (string, time.Duration, error) {
	if ttl <= 0 {
		ttl = e.settings.TTL
	}
	token, err := e.tokens.issue(id.Actor.Subject, ttl)
	return token, ttl, err
}
