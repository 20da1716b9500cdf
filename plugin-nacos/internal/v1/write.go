package v1

import (
	"net/http"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/lent"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

func keyOf(c *web.Call) configstore.Key {
	return config.Key(c.Param("dataId"), c.Param("group"), c.Param("tenant"))
}

// publish is NAC-H1C-05.
func (a *API) publish(c *web.Call) error {
	if err := c.Require("dataId", "group", "content"); err != nil {
		return err
	}
	err := a.Configs.Publish(c.Context(), c.Actor(), config.Publish{
		DataID: c.Param("dataId"), Group: c.Param("group"), Tenant: c.Param("tenant"),
		Content: lent.Bytes(c.Param("content")), Type: c.Param("type"), EncryptedDataKey: c.Param("encryptedDataKey"),
		CasMD5: c.Header("Casmd5"), BetaIPs: c.Header("Betaips"), Tag: c.Param("tag"),
		AppName: c.Optional("appName"), Tags: c.Optional("config_tags"), SrcUser: c.Param("src_user"),
		Desc: c.Param("desc"), Use: c.Param("use"), Effect: c.Param("effect"), Schema: c.Param("schema"),
	})
	if err != nil {
		return err
	}
	return c.Text(http.StatusOK, "true")
}

// remove is NAC-H1C-06, and NAC-H1C-12 for the gray by address.
func (a *API) remove(c *web.Call) error {
	if err := c.Require("dataId", "group"); err != nil {
		return err
	}
	if c.Param("beta") == "true" {
		return a.stopBeta(c)
	}
	err := a.Configs.Remove(c.Context(), c.Actor(), config.Remove{
		DataID: c.Param("dataId"), Group: c.Param("group"), Tenant: c.Param("tenant"), Tag: c.Param("tag"),
	})
	if err != nil {
		return err
	}
	return c.Text(http.StatusOK, "true")
}

func (a *API) stopBeta(c *web.Call) error {
	if err := config.CheckFormat(c.Param("dataId"), c.Param("group"), c.Param("tenant")); err != nil {
		return err
	}
	there, err := a.Configs.RemoveBeta(c.Context(), c.Actor(), keyOf(c))
	switch {
	case err != nil:
		return err
	case !there:
		return c.Rest(http.StatusInternalServerError, "remove beta data error", false)
	}
	return c.Rest(http.StatusOK, "stop beta ok", true)
}
