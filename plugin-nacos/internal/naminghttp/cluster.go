package naminghttp

import (
	"fmt"
	"strings"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// cluster is NAC-H1N-18.
func (a *API) cluster(c *web.Call) error {
	r, err := v1.read(c)
	if err != nil {
		return err
	}
	if err := r.need("serviceName", "clusterName", "checkPort", "useInstancePort4Check", "healthChecker"); err != nil {
		return err
	}
	port, err := naming.ParsePort(r.text("checkPort"))
	if err != nil {
		return err
	}
	text := r.text("healthChecker")
	if len(text) > maxJSON {
		return web.ErrTooLarge
	}
	metadata, err := r.metadata()
	if err != nil {
		return err
	}
	check, err := naming.ParseChecker(strings.Clone(text), int(port), r.is("useInstancePort4Check"))
	if err != nil {
		return err
	}
	err = a.Naming.SetCluster(c.Context(), c.Actor(), r.ownKey(), naming.Cluster{
		Name: strings.Clone(r.text("clusterName")), Checker: check, Metadata: metadata,
	})
	if err != nil {
		return err
	}
	return r.done()
}

// setHealth is NAC-H1N-19 and NAC-H2-50.
func (a *API) setHealth(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		t, err := r.target()
		if err != nil {
			return err
		}
		name := "healthy"
		if g == v1 && r.text(name) == "" && r.text("valid") != "" {
			name = "valid"
		}
		if err := r.need(name); err != nil {
			return err
		}
		healthy, err := r.flag(name, false)
		if err != nil {
			return err
		}
		if err := a.Naming.SetHealth(c.Context(), c.Actor(), r.key, t, healthy); err != nil {
			return err
		}
		return r.done()
	}
}

// checkers lists the health checkers with their parameters.
func (*API) checkers(c *web.Call) error {
	return c.Encoded([]byte(`{"TCP":{},"HTTP":{"path":"","headers":"","expectedResponseCode":200},` +
		`"MYSQL":{"user":null,"pwd":null,"cmd":null},"NONE":{}}`))
}

// healthServer says in words that naming works.
func (a *API) healthServer(c *web.Call) error {
	stats, err := a.Catalog.Stats(c.Context())
	if err != nil {
		return fmt.Errorf("count services: %w", err)
	}
	return c.JSON(struct {
		Text string `json:"msg"`
	}{fmt.Sprintf("naming is healthy, services: %d", stats.Services)})
}
