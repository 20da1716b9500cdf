package authmap

import (
	"context"
	"crypto/subtle"
	"fmt"

	"github.com/easynet-cn/batata/core/auth"
)

// Switches say which planes need a login (NAC-AUT-11), and the identity by which
// servers of one operator know each other (NAC-AUT-14).
type Switches struct {
	Client, Admin, Console bool

	IdentityKey, IdentityValue string // blank: nothing matches
}

// Gate asks core who calls and what they may do. It is safe for concurrent use.
type Gate struct {
	auth     auth.Auth
	switches Switches
}

// NewGate builds a Gate.
func NewGate(a auth.Auth, s Switches) *Gate { return &Gate{auth: a, switches: s} }

// Guarded says whether a plane needs a login.
func (g *Gate) Guarded(p auth.Plane) bool {
	switch p {
	case auth.Client:
		return g.switches.Client
	case auth.Admin:
		return g.switches.Admin
	default:
		return g.switches.Console
	}
}

// Asks says whether it matters who makes a call: on an open plane only for what
// is recorded with a write.
func (g *Gate) Asks(a Access) bool { return g.Guarded(a.plane) || a.action != auth.Read }

// Server says whether a request carries the server identity.
func (g *Gate) Server(header Source) bool {
	if g.switches.IdentityKey == "" || g.switches.IdentityValue == "" {
		return false
	}
	got := header(g.switches.IdentityKey)
	return subtle.ConstantTimeCompare([]byte(got), []byte(g.switches.IdentityValue)) == 1
}

// Authenticate returns who calls. On an open plane nothing is refused: a token
// that is not good is nobody's (NAC-AUT-07), and passwords are not looked at,
// since some clients send them with every call. The error is *Denied, or core's
// when it could not decide.
func (g *Gate) Authenticate(ctx context.Context, c auth.Credentials) (*auth.Identity, error) {
	guarded := g.Guarded(c.Plane)
	if !guarded {
		if c.Token == "" {
			return nil, nil //nolint:nilnil // nobody, and that is fine
		}
		c.User, c.Password = "", nil
	}
	id, err := g.auth.Authenticate(ctx, c)
	switch {
	case err == nil:
		return id, nil
	case !guarded:
		return nil, nil //nolint:nilnil // as above
	}
	return nil, unknown(err)
}

// Authorize returns *Denied unless the caller may do all that is asked. On an
// open plane everybody may.
func (g *Gate) Authorize(ctx context.Context, p auth.Plane, id *auth.Identity, rs ...auth.Request) error {
	if !g.Guarded(p) {
		return nil
	}
	answers, err := g.auth.Authorize(ctx, id, rs)
	if err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	if len(answers) == 0 { // nothing was asked
		return &Denied{Code: 403, Text: TextForbidden}
	}
	for _, a := range answers {
		if !a.Allowed {
			return &Denied{Code: 403, Text: TextForbidden}
		}
	}
	return nil
}
