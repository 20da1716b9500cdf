package account

import (
	"net/http"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// API holds what the handlers stand on.
type API struct {
	auth      auth.Auth
	directory auth.Directory
	guarded   bool
}

// New builds an API; guarded says that the client plane needs a login.
func New(a auth.Auth, d auth.Directory, guarded bool) *API {
	return &API{auth: a, directory: d, guarded: guarded}
}

// Routes is the table of endpoints. All are open: each proves its caller itself
// (NAD-AUTH-41).
func (a *API) Routes() []web.Route {
	open := authmap.Open(auth.Client)
	post := func(path string, s web.Style, h func(*web.Call) error) web.Route {
		return web.Route{Method: http.MethodPost, Path: path, Access: open, Style: s, Handle: h}
	}
	return []web.Route{
		post("/v1/auth/login", web.AccountV1, a.login),
		post("/v1/auth/users/login", web.AccountV1, a.login),
		post("/v3/auth/user/login", web.Account, a.login),
		post("/v1/auth/users/admin", web.AccountV1, a.firstAdmin(answerV1, refuseV1)),
		post("/v3/auth/user/admin", web.Account, a.firstAdmin(answerV3, refuseV3)),
	}
}
