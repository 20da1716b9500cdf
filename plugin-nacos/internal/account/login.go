package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// grantedTo is the answer to a login (NAC-AUT-01); the life is a number of
// seconds (NAC-AUT-02).
type grantedTo struct {
	Token string `json:"accessToken"`
	TTL   int64  `json:"tokenTtl"`
	Admin bool   `json:"globalAdmin"`
	User  string `json:"username"`
}

// tokenNobody is what a login is answered while nobody has an account (PRD-12,
// NAC-AUT-07). It opens nothing.
const tokenNobody = "AUTH_DISABLED"

// login takes a token or user and password, from query and form alike
// (NAC-AUT-04, NAD-AUTH-01). A token is answered as it is: a login by it makes it
// live no longer (NAC-AUT-02).
func (a *API) login(c *web.Call) error {
	proof := authmap.Credentials(c.ParamAnyCase, func(name string) string {
		if name == authmap.HeaderAuthorization {
			return c.R.Header.Get(name)
		}
		return ""
	})
	if proof.Token == "" {
		if err := c.Require(authmap.ParamUser, authmap.ParamPassword); err != nil {
			return err //nolint:wrapcheck // told by the table of errors
		}
	}
	proof.Addr, proof.Plane = c.Peer(), auth.Client
	id, err := a.auth.Authenticate(c.Context(), proof)
	if errors.Is(err, auth.ErrCredentials) {
		if nobody, e := a.nobody(c.Context()); e == nil && nobody {
			return a.toNobody(c, proof.User)
		}
		return auth.ErrCredentials //nolint:wrapcheck // one answer for all of them
	}
	if err != nil {
		return err //nolint:wrapcheck // told by the table of errors
	}
	out := grantedTo{Token: proof.Token, Admin: id.Actor.Admin, User: id.Actor.Subject}
	ttl := time.Until(id.Expires)
	if out.Token == "" {
		if out.Token, ttl, err = a.auth.Issue(c.Context(), id, 0); err != nil {
			return fmt.Errorf("issue token: %w", err)
		}
	}
	out.TTL = max(0, int64(ttl.Seconds()))
	return a.grant(c, out)
}

// toNobody answers with the whole life of a token (NAC-AUT-07).
func (a *API) toNobody(c *web.Call, user string) error {
	_, ttl, err := a.auth.Issue(c.Context(), &auth.Identity{}, 0) // nobody's, and not handed out
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	return a.grant(c, grantedTo{Token: tokenNobody, TTL: int64(ttl.Seconds()), User: user})
}

// nobody says that clients need no login and that there is no account at all:
// SDKs with stale credentials are then let in, to nothing.
func (a *API) nobody(ctx context.Context) (bool, error) {
	if a.guarded {
		return false, nil
	}
	users, err := a.directory.Users(ctx, auth.Query{Limit: 1})
	if err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	return len(users) == 0, nil
}

func (a *API) grant(c *web.Call, g grantedTo) error {
	h := c.W.Header()
	h.Set("Authorization", "Bearer "+g.Token)
	h.Set("Cache-Control", "no-store")
	return c.JSON(g)
}
