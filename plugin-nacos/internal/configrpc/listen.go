package configrpc

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// maxContexts bounds one batch (SEC-20): clients open another connection for more.
const maxContexts = 3000

// changed is one entry of the answer. The tenant is as the client spelled it,
// and absent when it sent none (NAC-CFG-02).
type changed struct {
	DataID string  `json:"dataId"`
	Group  string  `json:"group"`
	Tenant *string `json:"tenant,omitempty"`
}

type listenAnswer struct {
	stream.Status
	Changed []changed `json:"changedConfigs"`
}

func failListen(_ *stream.Call, s stream.Status) any {
	return listenAnswer{Status: s, Changed: []changed{}}
}

// listen is NAC-CFG-60..62.
func (a *API) listen(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	entries, listen := contexts(c.Body)
	if len(entries) > maxContexts {
		return stream.Answer{}, &config.Error{
			Reason: config.BadKey, Detail: fmt.Sprintf("more than %d configs in one batch", maxContexts),
		}
	}
	for i := range entries {
		if err := config.CheckFormat(entries[i].dataID, entries[i].group, entries[i].spelled()); err != nil {
			return stream.Answer{}, err
		}
	}
	out := listenAnswer{Status: stream.OK, Changed: []changed{}}
	if !listen {
		a.notices.remove(c.Conn, entries)
		return stream.Encode(typeListen, out), nil
	}
	if err := a.notices.add(c.Conn, entries); err != nil {
		return stream.Answer{}, err
	}
	heads, err := a.heads(ctx, entries)
	if err != nil {
		return stream.Answer{}, err
	}
	labels := labelsOf(c)
	for i := range entries {
		e := &entries[i]
		if !e.known || config.Digest(heads[i], labels) != e.md5 {
			out.Changed = append(out.Changed, changed{e.dataID, e.group, e.tenant})
		}
	}
	return stream.Encode(typeListen, out), nil
}

// contexts reads a batch, of which the gate asks and the handler acts: at most one
// entry more than there may be, and whether to listen or to stop it.
func contexts(b stream.Body) (entries []listened, listen bool) {
	listen = true
	b.Fields(func(key string, v gjson.Result) {
		switch key {
		case "listen":
			listen = v.Type == gjson.Null || v.Bool()
		case "configListenContexts":
			v.ForEach(func(_, v gjson.Result) bool {
				entries = append(entries, entryOf(v))
				return len(entries) <= maxContexts
			})
		}
	})
	return entries, listen
}

func (a *API) heads(ctx context.Context, entries []listened) ([]*configstore.Head, error) {
	keys := make([]configstore.Key, len(entries))
	for i := range entries {
		keys[i] = entries[i].key()
	}
	heads, err := a.configs.Heads(ctx, keys, nil, false)
	if err != nil {
		return nil, err //nolint:wrapcheck // names what failed
	}
	a.notices.seen(keys, heads)
	return heads, nil
}

func labelsOf(c *stream.Call) configstore.Pairs {
	tag := c.Header("Vipserver-Tag")
	if s := c.Conn.Setup(); tag == "" && s != nil {
		tag = s.Label("Vipserver-Tag")
	}
	return config.Labels(c.IP(), tag)
}

// listened is one context of a batch listen.
type listened struct {
	dataID, group, md5 string
	tenant             *string // nil: the client sent none
	known              bool    // a digest was sent; null and none are never right (NAC-CFG-13)
}

func entryOf(v gjson.Result) (e listened) {
	stream.Body{Result: v}.Fields(func(key string, v gjson.Result) {
		switch key {
		case "dataId":
			e.dataID = v.String()
		case "group":
			e.group = v.String()
		case "tenant":
			e.tenant = stream.Optional(v)
		case "md5":
			e.md5, e.known = v.String(), v.Type != gjson.Null
		}
	})
	return e
}

func (e *listened) spelled() string {
	if e.tenant == nil {
		return ""
	}
	return *e.tenant
}

func (e *listened) key() configstore.Key { return config.Key(e.dataID, e.group, e.spelled()) }
