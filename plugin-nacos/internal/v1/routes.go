package v1

import (
	"context"
	"net/http"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/poll"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// API holds what the handlers stand on.
type API struct {
	Configs *config.Service
	Polls   *poll.Keeper
	// Listeners tells who listens by connections; merged into what Polls knows.
	Listeners Listeners
	Ready     func(context.Context) error
	// Encoder keeps the headers of a read beside the item.
	Encoder memo.ID
	// Owner is the plugin whose extra data of a config is shown.
	Owner string

	heard heard
}

// Listeners are the clients that listen over connections.
type Listeners interface {
	// Listeners returns address → digest of those that listen to a config.
	Listeners(k configstore.Key) map[string]string
	// ListenedBy returns the digests by config of one address.
	ListenedBy(ip string) map[configstore.Key]string
}

// Routes is the table of endpoints.
func (a *API) Routes() []web.Route {
	const (
		configs  = "/v1/cs/configs"
		listener = configs + "/listener"
	)
	read := authmap.ConfigV1(auth.Client, auth.Read)
	write := authmap.ConfigV1(auth.Client, auth.Write)
	lines := authmap.Each(auth.Client, auth.Read, listenedTo)
	manage := authmap.For(auth.Admin, auth.Read, listenedFrom)
	open := authmap.Open(auth.Client)
	return []web.Route{
		{Method: http.MethodGet, Path: configs, Access: read, Style: web.Bare, Handle: a.get},
		{Method: http.MethodPost, Path: configs, Access: write, Style: web.Bare, Handle: a.publish},
		{Method: http.MethodDelete, Path: configs, Access: write, Style: web.Bare, Handle: a.remove},
		{Method: http.MethodPost, Path: listener, Access: lines, Style: web.Bare, Handle: a.listen},
		{Method: http.MethodGet, Path: listener, Access: read, Style: web.Bare, Handle: a.listeners},
		{Method: http.MethodGet, Path: "/v1/cs/listener", Access: manage, Style: web.Bare, Handle: a.listenedBy},
		{Method: http.MethodGet, Path: "/v1/cs/health", Access: open, Style: web.Bare, Handle: a.health},
		{Method: http.MethodGet, Path: "/v1/console/health/liveness", Access: open, Style: web.Bare, Handle: a.liveness},
		{Method: http.MethodGet, Path: "/v1/console/health/readiness", Access: open, Style: web.Bare, Handle: a.readiness},
	}
}

// health is NAC-H1C-21: the status tells nothing, the text does.
func (a *API) health(c *web.Call) error {
	if err := a.Ready(c.Context()); err != nil {
		return c.Text(http.StatusOK, "DOWN:"+err.Error())
	}
	return c.Text(http.StatusOK, "UP")
}

// liveness and readiness are NAC-H1X-07.
func (a *API) liveness(c *web.Call) error { return c.Text(http.StatusOK, "OK") }

func (a *API) readiness(c *web.Call) error {
	if err := a.Ready(c.Context()); err != nil {
		return c.Text(http.StatusInternalServerError, err.Error())
	}
	return c.Text(http.StatusOK, "OK")
}
