package configrpc

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// maxListened bounds what one connection may listen to.
const maxListened = 100_000

// notifier knows who listens to what, and tells them.
type notifier struct {
	timeout time.Duration
	retries int

	mu     sync.Mutex // guards the rest
	byKey  map[configstore.Key]*topic
	byConn map[*stream.Conn]map[configstore.Key]struct{}
}

// topic is one config that somebody listens to.
type topic struct {
	head      *configstore.Head // as the listeners know it; nil: absent
	seen      bool              // head was read
	listeners map[*stream.Conn]listened
}

func newNotifier(s Settings) *notifier {
	return &notifier{
		timeout: s.Timeout, retries: s.Retries,
		byKey: map[configstore.Key]*topic{}, byConn: map[*stream.Conn]map[configstore.Key]struct{}{},
	}
}

// add notes a connection as a listener of all entries, which stay until they are
// removed or the connection ends (NAC-CFG-61, NAC-CFG-65).
func (n *notifier) add(c *stream.Conn, entries []listened) error {
	n.mu.Lock()
	keys, known := n.byConn[c]
	if !known {
		keys = map[configstore.Key]struct{}{}
		n.byConn[c] = keys
	}
	if len(keys)+len(entries) > maxListened {
		n.mu.Unlock()
		return &config.Error{Reason: config.BadKey, Detail: fmt.Sprintf("more than %d configs on one connection", maxListened)}
	}
	for _, e := range entries {
		k := e.key()
		t := n.byKey[k]
		if t == nil {
			t = &topic{listeners: map[*stream.Conn]listened{}}
			n.byKey[k] = t
		}
		t.listeners[c] = e
		keys[k] = struct{}{}
	}
	n.mu.Unlock()
	if !known {
		c.OnClose(func() { n.leave(c) })
	}
	return nil
}

// seen notes what was read for keys after add, unless a change told more.
func (n *notifier) seen(keys []configstore.Key, heads []*configstore.Head) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, k := range keys {
		if t := n.byKey[k]; t != nil && !t.seen {
			t.head, t.seen = heads[i], true
		}
	}
}

func (n *notifier) remove(c *stream.Conn, entries []listened) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range entries {
		n.drop(c, entries[i].key())
	}
}

func (n *notifier) leave(c *stream.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.byConn[c] {
		n.drop(c, k)
	}
	delete(n.byConn, c)
}

// drop forgets one listener; mu is held.
func (n *notifier) drop(c *stream.Conn, k configstore.Key) {
	delete(n.byConn[c], k)
	t := n.byKey[k]
	if t == nil {
		return
	}
	delete(t.listeners, c)
	if len(t.listeners) == 0 {
		delete(n.byKey, k)
	}
}

// change tells the listeners of one config, when what they read has changed: one
// comparison for any number of them.
func (n *notifier) change(c configstore.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.byKey[c.Key]
	if t == nil {
		return
	}
	same := t.seen && config.SameContent(t.head, c.Head)
	t.head, t.seen = c.Head, true
	if same {
		return
	}
	for conn, e := range t.listeners {
		n.push(conn, c.Key, e)
	}
}

// reset tells everybody: changes may have been missed, and clients compare.
func (n *notifier) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, t := range n.byKey {
		t.head, t.seen = nil, false
		for conn, e := range t.listeners {
			n.push(conn, k, e)
		}
	}
}

// push is NAC-CFG-63, repeated as NAC-PSH-21. A blank tenant is left out here
// (NAC-CFG-02).
func (n *notifier) push(c *stream.Conn, k configstore.Key, e listened) {
	told := changed{DataID: e.dataID, Group: e.group}
	if e.spelled() != "" {
		told.Tenant = e.tenant
	}
	b, _ := json.Marshal(struct {
		changed
		Module string `json:"module"`
	}{told, "config"}) // cannot fail: texts
	c.Push(stream.Push{
		Key: k, Type: "ConfigChangeNotifyRequest", Rest: b[1:], Timeout: n.timeout, Retries: n.retries, Backoff: backoff,
	})
}

func backoff(failed int) time.Duration { return time.Duration(failed) * 2 * time.Second }

// Listeners returns the address and digest of everybody who listens to a config
// over a connection.
func (a *API) Listeners(k configstore.Key) map[string]string {
	out := map[string]string{}
	n := a.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.byKey[k]; t != nil {
		for c, e := range t.listeners {
			out[ipOf(c)] = e.md5
		}
	}
	return out
}

// ListenedBy returns the configs and digests that one address listens to.
func (a *API) ListenedBy(ip string) map[configstore.Key]string {
	out := map[configstore.Key]string{}
	n := a.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	for c, keys := range n.byConn {
		if ipOf(c) != ip {
			continue
		}
		for k := range keys {
			out[k] = n.byKey[k].listeners[c].md5
		}
	}
	return out
}

func ipOf(c *stream.Conn) string {
	if s := c.Setup(); s != nil {
		return s.ClientIP
	}
	return c.Remote()
}
