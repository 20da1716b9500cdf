package v1

import (
	"net/http"
	"net/url"
	"time"

	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/lent"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

const contentText = "text/plain;charset=UTF-8"

// get is NAC-H1C-01 and, by its parameters, one of the reads that share its path.
func (a *API) get(c *web.Call) error {
	if err := c.Require("dataId", "group"); err != nil {
		return err
	}
	if err := config.CheckFormat(formatOf(c)); err != nil {
		return err
	}
	switch search, _ := c.Lookup("search"); {
	case search == "accurate" || search == "blur":
		return a.search(c, search == "blur")
	case c.Param("beta") == "true":
		return a.beta(c)
	case c.Param("show") == "all":
		return a.detail(c)
	}
	return a.content(c)
}

// formatOf is what the parameter check looks at. Patterns of a search are not
// names.
func formatOf(c *web.Call) (dataID, group, tenant string) {
	dataID, group, tenant = c.Param("dataId"), c.Param("group"), c.Param("tenant")
	if c.Param("search") == "blur" {
		return "", "", tenant
	}
	return dataID, group, tenant
}

// content answers the raw content with its properties as headers (NAC-H1C-02).
func (a *API) content(c *web.Call) error {
	q := config.Query{
		DataID: c.Param("dataId"), Group: c.Param("group"), Tenant: c.Param("tenant"),
		IP: c.ClientIP(), Tag: c.Param("tag"),
		TagLabel: c.Header("Vipserver-Tag"),
		Local:    c.Header("Notify") == "true",
	}
	if err := config.CheckKey(q.DataID, q.Group); err != nil {
		return err
	}
	res, err := a.Configs.Query(c.Context(), q)
	if err != nil {
		return err
	}
	h := c.W.Header()
	web.NoCache(h)
	md5, modified := a.stamps(res)
	values := &[...]string{typeOf(res), md5, modified, ""} // one allocation for all
	h["Config-Type"], h["Content-Md5"], h["Last-Modified"] = values[0:1:1], values[1:2:2], values[2:3:3]
	if key, ok := res.DataKey(); ok {
		values[3] = key
		h["Encrypted-Data-Key"] = values[3:4:4]
	}
	if res.Beta() {
		h.Set("Isbeta", "true")
	}
	if tag := res.Tag(); tag != "" {
		h.Set("Tag", url.QueryEscape(tag))
	}
	return c.Bytes(contentText, res.Item.Content)
}

// stamps are the digest and the date of an item as headers carry them, rendered
// once per item.
func (a *API) stamps(r *config.Result) (md5, modified string) {
	const digest = 32 // bytes of the hex text
	b := r.Item.Memo.Load(a.Encoder)
	if b == nil {
		b = time.UnixMilli(r.Modified()).UTC().AppendFormat([]byte(r.MD5()), http.TimeFormat)
		b = r.Item.Memo.Store(a.Encoder, b)
	}
	both := lent.Text(b)
	return both[:digest], both[digest:]
}

func typeOf(r *config.Result) string {
	if t := r.Type(); t != "" {
		return t
	}
	return "text"
}

// beta is NAC-H1C-12.
func (a *API) beta(c *web.Call) error {
	k := keyOf(c)
	if err := config.CheckKey(k.Name, k.Group); err != nil {
		return err
	}
	res, err := a.Configs.Beta(c.Context(), k)
	if isNotFound(err) {
		return c.Rest(http.StatusOK, "query beta ok", nil)
	}
	if err != nil {
		return err
	}
	info := infoOf(res.Item.Head, res.Item.Content)
	info.MD5, info.Type, info.DataKey = text(res.MD5()), nil, text(res.Item.Variant.Cipher)
	return c.Rest(http.StatusOK, "query beta ok", betaInfo{info, res.Item.Variant.Rule.Expr})
}
