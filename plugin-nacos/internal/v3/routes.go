package v3

import (
	"context"
	"errors"
	"net/http"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// API holds what the handlers stand on.
type API struct {
	Configs *config.Service
	Ready   func(context.Context) error
}

// Routes is the table of endpoints.
func (a *API) Routes() []web.Route {
	open := authmap.Open(auth.Admin)
	return []web.Route{
		{
			Method: http.MethodGet, Path: "/v3/client/cs/config", Style: web.Enveloped,
			Access: authmap.ConfigV3(auth.Client, auth.Read), Handle: a.config,
		},
		{Method: http.MethodGet, Path: "/v3/admin/core/state/liveness", Style: web.Enveloped, Access: open, Handle: a.liveness},
		{Method: http.MethodGet, Path: "/v3/admin/core/state/readiness", Style: web.Enveloped, Access: open, Handle: a.readiness},
	}
}

// answer is the gRPC answer to a config query with its absent keys written as
// null (NAC-H3-01).
type answer struct {
	ResultCode int     `json:"resultCode"`
	ErrorCode  int     `json:"errorCode"`
	Message    *string `json:"message"`
	RequestID  *string `json:"requestId"`
	Content    string  `json:"content"`
	DataKey    *string `json:"encryptedDataKey"`
	Type       string  `json:"contentType"`
	MD5        string  `json:"md5"`
	Modified   int64   `json:"lastModified"`
	Tag        *string `json:"tag"`
	Beta       bool    `json:"beta"`
	Success    bool    `json:"success"`
}

func (a *API) config(c *web.Call) error {
	if err := c.Require("dataId", "groupName"); err != nil {
		return err
	}
	q := config.Query{
		DataID: c.Param("dataId"), Group: c.Param("groupName"), Tenant: c.Param("namespaceId"), IP: c.ClientIP(),
	}
	if err := config.CheckFormat(q.DataID, q.Group, q.Tenant); err != nil {
		return err
	}
	res, err := a.Configs.Query(c.Context(), q)
	if errors.Is(err, config.ErrNotFound) {
		return c.Result(http.StatusOK, web.Result{Code: 20004, Message: "resource not found"}) // NAC-H3-02
	}
	if err != nil {
		return err
	}
	out := answer{
		ResultCode: http.StatusOK, Content: string(res.Item.Content), Type: res.Type(), MD5: res.MD5(),
		Modified: res.Modified(), Beta: res.Beta(), Success: true,
	}
	if key, ok := res.DataKey(); ok {
		out.DataKey = &key
	}
	return c.Data(out)
}

func (a *API) liveness(c *web.Call) error { return c.Data("ok") }

// readiness answers HTTP 500 when not ready, so that every probe understands
// (NAD-DEC-04).
func (a *API) readiness(c *web.Call) error {
	if err := a.Ready(c.Context()); err != nil {
		return c.Result(http.StatusInternalServerError, web.Result{Code: 30000, Message: "server error", Data: err.Error()})
	}
	return c.Data("ok")
}
