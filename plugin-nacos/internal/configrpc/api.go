package configrpc

import (
	"context"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/memo"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/lent"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// Settings are what an API stands on.
type Settings struct {
	Configs *config.Service
	Encoder memo.ID       // of the answer to a query
	Timeout time.Duration // for one acknowledgement of a notice
	Retries int           // unanswered notices that end a connection
}

// API holds the handlers and who listens.
type API struct {
	configs *config.Service
	encoder memo.ID
	notices *notifier

	// The same for everybody.
	published, removed stream.Answer
}

// New builds an API that is told of changes by the configs; legal before their
// Run only.
func New(s Settings) *API {
	a := &API{configs: s.Configs, encoder: s.Encoder, notices: newNotifier(s)}
	a.published, a.removed = stream.Encode(typePublish, stream.OK), stream.Encode(typeRemove, stream.OK)
	s.Configs.OnChange(a.notices.change, a.notices.reset)
	return a
}

// Register adds the handlers.
func (a *API) Register(s *stream.Server) {
	s.Handle("ConfigQueryRequest", stream.Handler{
		Response: typeQuery, Access: one(auth.Read), Param: stream.Body.Text, Handle: a.query, Fail: failQuery,
	})
	s.Handle("ConfigPublishRequest", stream.Handler{
		Response: typePublish, Access: one(auth.Write), Param: stream.Body.Text, Handle: a.publish,
	})
	s.Handle("ConfigRemoveRequest", stream.Handler{
		Response: typeRemove, Access: one(auth.Write), Param: stream.Body.Text, Handle: a.remove,
	})
	s.Handle("ConfigBatchListenRequest", stream.Handler{
		Response: typeListen, Access: tenants, Handle: a.listen, Fail: failListen,
	})
}

// The classes of the answers.
const (
	typeQuery   = "ConfigQueryResponse"
	typePublish = "ConfigPublishResponse"
	typeRemove  = "ConfigRemoveResponse"
	typeListen  = "ConfigChangeBatchListenResponse"
)

func one(action auth.Action) func(stream.Body) authmap.Access {
	access := authmap.ConfigV1(auth.Client, action)
	return func(stream.Body) authmap.Access { return access }
}

// tenants asks for a right on all namespaces that a batch listens to
// (NAD-AUTH-79), the default one when there is none.
func tenants(b stream.Body) authmap.Access {
	return authmap.Each(auth.Client, auth.Read, func(authmap.Source) []auth.Resource {
		entries, _ := contexts(b)
		names := make([]string, max(1, len(entries)))
		for i := range entries {
			names[i] = entries[i].spelled()
		}
		return authmap.Tenants(names...)
	})
}

// answer is a ConfigQueryResponse (NAC-CFG-21). Keys without a value are left
// out, since two clients declare the tag as a bool (NAC-CFG-22).
type answer struct {
	stream.Status
	Content  *string `json:"content,omitempty"`
	DataKey  *string `json:"encryptedDataKey,omitempty"`
	Type     string  `json:"contentType,omitempty"`
	MD5      string  `json:"md5,omitempty"`
	Modified int64   `json:"lastModified"`
	Tag      string  `json:"tag,omitempty"`
	Beta     bool    `json:"beta"`
	IsBeta   bool    `json:"isBeta"` // what two clients call it
}

// query answers with the bytes that were encoded for the first one who asked.
func (a *API) query(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	q := config.Query{IP: c.IP(), Local: c.Header("notify") == "true"}
	c.Body.Fields(func(key string, v gjson.Result) {
		switch key {
		case "dataId":
			q.DataID = v.String()
		case "group":
			q.Group = v.String()
		case "tenant":
			q.Tenant = v.String()
		case "tag":
			q.Tag = v.String()
		}
	})
	if err := config.CheckFormat(q.DataID, q.Group, q.Tenant); err != nil {
		return stream.Answer{}, err
	}
	if s := c.Conn.Setup(); s != nil {
		q.TagLabel = s.Label("Vipserver-Tag") // NAC-CFG-28
	}
	res, err := a.configs.Query(ctx, q)
	if err != nil {
		return stream.Answer{}, err
	}
	if b := res.Item.Memo.Load(a.encoder); b != nil {
		return stream.Answer{Type: typeQuery, Body: b}, nil
	}
	out := stream.Encode(typeQuery, encode(res))
	out.Body = res.Item.Memo.Store(a.encoder, out.Body)
	return out, nil
}

func encode(res *config.Result) *answer {
	content := string(res.Item.Content)
	out := &answer{
		Status: stream.OK, Content: &content, Type: res.Type(), MD5: res.MD5(), Modified: res.Modified(),
		Tag: url.QueryEscape(res.Tag()), Beta: res.Beta(), IsBeta: res.Beta(),
	}
	if key, ok := res.DataKey(); ok {
		out.DataKey = &key
	}
	return out
}

// failQuery keeps the keys of a failure and, when a tag was asked for, the tag
// (NAC-CFG-21, NAC-CFG-29).
func failQuery(c *stream.Call, s stream.Status) any {
	return &answer{Status: s, Tag: c.Body.Get("tag").String()}
}

// publish is NAC-CFG-40.
func (a *API) publish(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	var p config.Publish
	c.Body.Fields(func(key string, v gjson.Result) {
		switch key {
		case "dataId":
			p.DataID = v.String()
		case "group":
			p.Group = v.String()
		case "tenant":
			p.Tenant = v.String()
		case "content":
			p.Content = lent.Bytes(v.String())
		case "casMd5":
			p.CasMD5 = v.String()
		case "type": // one client says it here
			if p.Type == "" {
				p.Type = v.String()
			}
		case "additionMap":
			stream.Body{Result: v}.Fields(func(key string, v gjson.Result) { addition(&p, key, v) })
		}
	})
	if err := a.configs.Publish(ctx, c.Actor(), p); err != nil {
		return stream.Answer{}, err
	}
	return a.published, nil
}

// addition is NAC-CFG-41.
func addition(p *config.Publish, key string, v gjson.Result) {
	text := v.String()
	switch key {
	case "tag":
		p.Tag = text
	case "appName":
		p.AppName = stream.Optional(v)
	case "betaIps":
		p.BetaIPs = text
	case "type":
		if text != "" {
			p.Type = text
		}
	case "encryptedDataKey":
		p.EncryptedDataKey = text
	case "src_user":
		p.SrcUser = text
	case "config_tags":
		p.Tags = stream.Optional(v)
	case "desc":
		p.Desc = text
	case "use":
		p.Use = text
	case "effect":
		p.Effect = text
	case "schema":
		p.Schema = text
	}
}

// remove is NAC-CFG-48.
func (a *API) remove(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	err := a.configs.Remove(ctx, c.Actor(), config.Remove{
		DataID: c.Body.Text("dataId"), Group: c.Body.Text("group"), Tenant: c.Body.Text("tenant"), Tag: c.Body.Text("tag"),
	})
	if err != nil {
		return stream.Answer{}, err
	}
	return a.removed, nil
}
