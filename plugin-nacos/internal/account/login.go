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

// What a login is answered while nobody has an account (PRD-12, NAC-AUT-07).
const (
	tokenNobody = "AUTH_DISABLED"
	ttlNobody   = 5 * time.Hour
)

// login takes a token or user and password, from query and form alike
// (NAC-AUT-04, NAD-AUTH-01).
func (a *API) login(c *web.Call) error {
	proof := authmap.Credentials(c.Param, func(name string) string {
		if name == authmap.HeaderAuthorization {
			return c.R.Header.Get(name)
		}
		return ""
	})
	proof.Addr, proof.Plane = c.Peer(), auth.Client
	id, err := a.auth.Authenticate(c.Context(), proof)
	if errors.Is(err, auth.ErrCredentials) {
		if nobody, e := a.nobody(c.Context()); e == nil && nobody {
			return a.grant(c, grantedTo{Token: tokenNobody, TTL: int64(ttlNobody.Seconds()), User: proof.User})
		}
		return auth.ErrCredentials //nolint:wrapcheck // one answer for all of them
	}
	if err != nil {
		return err //nolint:wrapcheck // told by the table of errors
	}
	token, ttl, err := a.auth.Issue(c.Context(), id, 0)
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	return a.grant(c, grantedTo{
		Token: token, TTL: int64(ttl.Seconds()), Admin: id.Actor.Admin, User: id.Actor.Subject,
	})
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
