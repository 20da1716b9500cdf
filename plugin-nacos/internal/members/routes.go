package members

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// API holds what the handlers stand on.
type API struct {
	Cluster cluster.Cluster
	Now     func() time.Time
}

// Routes is the table of endpoints (NAC-H1X-12, 13, NAC-H2-70, NAD-CORE-10, 11,
// 14).
func (a *API) Routes() []web.Route {
	read := authmap.Fixed(auth.Admin, auth.Read, "/v3/admin/core/cluster") // NAD-AUTH-77
	var out []web.Route
	get := func(style web.Style, path string, h func(*web.Call) error) {
		out = append(out, web.Route{Method: http.MethodGet, Path: path, Access: read, Style: style, Handle: h})
	}
	const v1 = "/v1/core/cluster"
	get(web.Bare, v1+"/nodes", a.listV1)
	get(web.Bare, v1+"/simple/nodes", a.addresses)
	get(web.Bare, v1+"/self", a.self(rest))
	get(web.Bare, v1+"/health", a.health(rest))
	for prefix, style := range map[string]web.Style{"/v2/core/cluster": web.EnvelopedV2, "/v3/admin/core/cluster": web.Enveloped} {
		get(style, prefix+"/node/list", a.list)
		get(style, prefix+"/node/self", a.self((*web.Call).Data))
		get(style, prefix+"/node/self/health", a.health((*web.Call).Data))
	}
	return out
}

// rest is the envelope of V1 (NAC-HTP-21).
func rest(c *web.Call, v any) error {
	return c.JSON(web.RestResult{Code: http.StatusOK, Data: v})
}

// look reads the members.
func (a *API) look(ctx context.Context) (*view, error) {
	self, err := a.Cluster.Self(ctx)
	if err != nil {
		return nil, fmt.Errorf("this member: %w", err)
	}
	v := &view{self: self.ID, now: a.Now()}
	if v.members, err = a.Cluster.Members(ctx); err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	if !slices.ContainsFunc(v.members, func(m *cluster.Member) bool { return m.ID == self.ID }) {
		v.members = append(slices.Clone(v.members), self) // its row is not written yet
	}
	if v.state, err = a.Cluster.State(ctx); err != nil {
		return nil, fmt.Errorf("state of the cluster: %w", err)
	}
	return v, nil
}

// matching are the members whose address begins so, in a state if one is named.
func (a *API) matching(ctx context.Context, prefix, state string) ([]node, error) {
	v, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(v.nodes(), func(n node) bool {
		return !strings.HasPrefix(n.Address, prefix) || state != "" && n.State != state
	}), nil
}

func (a *API) listV1(c *web.Call) error {
	nodes, err := a.matching(c.Context(), c.Param("keyword"), "")
	if err != nil {
		return err
	}
	return rest(c, nodes)
}

func (a *API) addresses(c *web.Call) error {
	nodes, err := a.matching(c.Context(), "", "")
	if err != nil {
		return err
	}
	out := make([]string, len(nodes))
	for i := range nodes {
		out[i] = nodes[i].Address
	}
	return rest(c, out)
}

// list is NAD-CORE-11.
func (a *API) list(c *web.Call) error {
	given := c.Param("state")
	state := strings.ToUpper(given)
	switch state {
	case "", starting, up, suspicious, down, isolation:
	default:
		return c.Result(http.StatusBadRequest, web.Result{Code: 23000, Message: "illegal state", Data: "Illegal state: " + given})
	}
	nodes, err := a.matching(c.Context(), c.Param("address"), state)
	if err != nil {
		return err
	}
	return c.Data(nodes)
}

func (a *API) self(answer func(*web.Call, any) error) func(*web.Call) error {
	return func(c *web.Call) error {
		n, err := a.own(c.Context())
		if err != nil {
			return err
		}
		return answer(c, n)
	}
}

func (a *API) health(answer func(*web.Call, any) error) func(*web.Call) error {
	return func(c *web.Call) error {
		n, err := a.own(c.Context())
		if err != nil {
			return err
		}
		return answer(c, n.State)
	}
}

func (a *API) own(ctx context.Context) (*node, error) {
	v, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range v.members {
		if m.ID == v.self {
			n := v.node(m, v.raft())
			return &n, nil
		}
	}
	return nil, fmt.Errorf("member %016x is not among the members", v.self) // cannot be
}
