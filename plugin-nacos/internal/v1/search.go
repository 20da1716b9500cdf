package v1

import (
	"context"
	"errors"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

const (
	maxPage   = 500 // rows of one page, as in the reference
	maxNumber = 1 << 32
)

// info is a config in lists. Its id is a text, since scripts lose digits of
// large numbers (NAC-QRK-27).
type info struct {
	ID      string  `json:"id"`
	DataID  string  `json:"dataId"`
	Group   string  `json:"group"`
	Content string  `json:"content"`
	MD5     *string `json:"md5"`
	DataKey *string `json:"encryptedDataKey"`
	Tenant  string  `json:"tenant"`
	App     string  `json:"appName"`
	Type    *string `json:"type"`
}

// detail is a config with all that is known of it (NAC-H1C-09).
type detail struct {
	info
	Created  int64   `json:"createTime"`
	Modified int64   `json:"modifyTime"`
	User     *string `json:"createUser"`
	IP       *string `json:"createIp"`
	Desc     *string `json:"desc"`
	Use      *string `json:"use"`
	Effect   *string `json:"effect"`
	Schema   *string `json:"schema"`
	Tags     *string `json:"configTags"`
}

type betaInfo struct {
	info
	IPs string `json:"betaIps"`
}

type page struct {
	Total  int    `json:"totalCount"`
	Number int    `json:"pageNumber"`
	Pages  int    `json:"pagesAvailable"`
	Items  []info `json:"pageItems"`
}

func infoOf(h *configstore.Head, content []byte) info {
	return info{
		ID: idOf(h.Key), DataID: h.Key.Name, Group: h.Key.Group, Content: string(content),
		MD5: text(h.Digest.String()), Tenant: h.Key.Namespace, App: h.App, Type: text(h.Type),
	}
}

// idOf is a number that stays with a key for ever, as clients expect of a row.
func idOf(k configstore.Key) string {
	f := fnv.New64a()
	_, _ = f.Write([]byte(k.Namespace + "\x00" + k.Group + "\x00" + k.Name)) // never fails
	return strconv.FormatUint(f.Sum64()>>1, 10)
}

// text is nil for a blank one, which lists show as null.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func isNotFound(err error) bool {
	return errors.Is(err, kv.ErrNotFound) || errors.Is(err, config.ErrNotFound)
}

// detail is NAC-H1C-09: an absent config is an empty body.
func (a *API) detail(c *web.Call) error {
	k := keyOf(c)
	h, err := a.Configs.Head(c.Context(), k, false)
	if err != nil {
		return err
	}
	if h == nil || !h.Formal {
		return c.Text(http.StatusOK, "")
	}
	content, err := a.Configs.Formal(c.Context(), h)
	if isNotFound(err) {
		return c.Text(http.StatusOK, "") // removed meanwhile
	}
	if err != nil {
		return err
	}
	x := config.ExtraOf(h, a.Owner)
	out := detail{
		info: infoOf(h, content), Created: h.Created, Modified: h.Modified,
		User: text(h.Creator), IP: text(h.Source), Desc: text(h.Desc),
		Use: text(x.Use), Effect: text(x.Effect), Schema: text(x.Schema), Tags: text(strings.Join(h.Tags, ",")),
	}
	out.DataKey = &h.Cipher
	return c.Value(out)
}

// search is NAC-H1C-08: pages of configs by name, application, tags and type.
func (a *API) search(c *web.Call, blur bool) error {
	if err := c.Require("pageNo", "pageSize"); err != nil {
		return err
	}
	number, size, err := pageOf(c)
	if err != nil {
		return err
	}
	q := configstore.Query{
		Namespace: config.Key("", "", c.Param("tenant")).Namespace,
		Group:     c.Param("group"), Name: c.Param("dataId"), App: c.Param("appName"), CountTotal: true,
	}
	if !blur && strings.Contains(q.Group+q.Name, "*") {
		return &config.Error{Reason: config.BadKey, Detail: "an accurate search takes no *"}
	}
	q.Tags = list(c.Param("config_tags"))
	if blur {
		q.Types = list(c.Param("types"))
	}
	heads, total, err := a.page(c.Context(), q, (number-1)*size, size)
	if err != nil {
		return err
	}
	out := page{Total: total, Number: number, Pages: (total + size - 1) / size, Items: make([]info, 0, len(heads))}
	for _, h := range heads {
		content, err := a.Configs.Formal(c.Context(), h)
		if isNotFound(err) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		row := infoOf(h, content)
		if len(q.Tags) > 0 {
			row.MD5, row.Type = nil, nil
		}
		out.Items = append(out.Items, row)
	}
	return c.Value(out)
}

func pageOf(c *web.Call) (number, size int, err error) {
	number, errNumber := strconv.Atoi(c.Param("pageNo"))
	size, errSize := strconv.Atoi(c.Param("pageSize"))
	if errNumber != nil || errSize != nil || number < 1 || number > maxNumber || size < 1 {
		return 0, 0, &config.Error{Reason: config.BadKey, Detail: "pageNo and pageSize must be numbers from 1"}
	}
	return number, min(size, maxPage), nil
}

// page reads size heads from an offset, and how many there are in all.
func (a *API) page(ctx context.Context, q configstore.Query, offset, size int) ([]*configstore.Head, int, error) {
	var (
		out   []*configstore.Head
		total = -1
	)
	for {
		q.Limit = min(offset+size-len(out), kv.MaxPage)
		p, err := a.Configs.Search(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		if total < 0 {
			total, q.CountTotal = p.Total, false
		}
		skip := min(offset, len(p.Heads))
		offset -= skip
		out = append(out, p.Heads[skip:]...)
		if p.Next == nil || len(out) >= size {
			return out[:min(len(out), size)], total, nil
		}
		q.From = *p.Next
	}
}

func list(s string) (out []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}
