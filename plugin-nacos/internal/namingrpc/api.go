package namingrpc

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// Settings are what an API stands on.
type Settings struct {
	Naming *naming.Service
	Logger *zap.Logger
	// Synced says whether the registry holds everything it can know (CTR-R09).
	Synced func(context.Context) (bool, error)

	Delay   time.Duration // of a push after a change; 0: adaptive (ENG-11)
	Timeout time.Duration // for one acknowledgement
	Retry   time.Duration // pause after one that did not come
	WarmUp  time.Duration // after the start, at least (FLT-04)
}

// maxSubscribed bounds what one connection may subscribe to.
const maxSubscribed = 10_000

// API holds the handlers, the clients and who subscribes.
type API struct {
	naming *naming.Service
	log    *zap.Logger
	pusher *fanout.Pusher[*stream.Conn, []byte]
	server *stream.Server

	mu      sync.Mutex // guards clients
	clients map[*stream.Conn]*client
}

// New builds an API that is told of changes by the service; legal before its Run
// only.
func New(s Settings) *API {
	a := &API{naming: s.Naming, log: s.Logger, clients: map[*stream.Conn]*client{}}
	backoff := func(int) time.Duration { return s.Retry }
	a.pusher = fanout.New(fanout.Settings[*stream.Conn, []byte]{
		Naming: s.Naming, Synced: s.Synced, Delay: s.Delay, WarmUp: s.WarmUp, MaxEach: maxSubscribed, Encode: restOf,
		Push: func(c *stream.Conn, k *registry.ServiceKey, rest []byte) {
			c.Push(stream.Push{Key: k, Type: typeNotify, Rest: rest, Timeout: s.Timeout, Retries: stream.Forever, Backoff: backoff})
		},
	})
	s.Naming.Source(a)
	return a
}

// Run makes the pushes that are due, until ctx ends.
func (a *API) Run(ctx context.Context) error { return a.pusher.Run(ctx) }

// The classes of the answers.
const (
	typeInstance  = "InstanceResponse"
	typeBatch     = "BatchInstanceResponse"
	typeQuery     = "QueryServiceResponse"
	typeList      = "ServiceListResponse"
	typeSubscribe = "SubscribeServiceResponse"

	typeNotify = "NotifySubscriberRequest"
)

// Register adds the handlers.
func (a *API) Register(s *stream.Server) {
	a.server = s
	s.Handle("InstanceRequest", stream.Handler{
		Response: typeInstance, Access: access(auth.Write), Param: stream.Body.Text, Handle: a.instance,
	})
	s.Handle("PersistentInstanceRequest", stream.Handler{
		Response: typeInstance, Access: access(auth.Write), Param: stream.Body.Text, Handle: a.persistent,
	})
	s.Handle("BatchInstanceRequest", stream.Handler{
		Response: typeBatch, Access: access(auth.Write), Param: stream.Body.Text, Handle: a.batch,
	})
	s.Handle("ServiceQueryRequest", stream.Handler{
		Response: typeQuery, Access: access(auth.Read), Param: stream.Body.Text, Handle: a.query,
	})
	s.Handle("ServiceListRequest", stream.Handler{
		Response: typeList, Access: ofGroup, Param: stream.Body.Text, Handle: a.list, Fail: failList,
	})
	s.Handle("SubscribeServiceRequest", stream.Handler{
		Response: typeSubscribe, Access: access(auth.Read), Param: stream.Body.Text, Handle: a.subscribe,
	})
}

func access(action auth.Action) func(stream.Body) authmap.Access {
	of := authmap.Naming(auth.Client, action)
	return func(stream.Body) authmap.Access { return of }
}

// ofGroup asks for all services of the group that is listed, whatever service the
// request names.
func ofGroup(stream.Body) authmap.Access {
	return authmap.For(auth.Client, auth.Read, func(param authmap.Source) auth.Resource {
		k := naming.Key(param("namespace"), param("groupName"), "")
		return auth.Resource{Kind: authmap.KindNaming, Namespace: k.Namespace, Group: k.Group}
	})
}

// client is a connection that registered something.
type client struct {
	mu   sync.Mutex // guards gone; held while core is told, so that nothing follows the end
	gone bool
}

// client returns the client of a connection that registers (NAC-CON-11).
func (a *API) client(c *stream.Conn) (*client, error) {
	if !isNaming(c) {
		return nil, disconnected(c)
	}
	a.mu.Lock()
	cl, known := a.clients[c]
	if !known {
		cl = &client{}
		a.clients[c] = cl
	}
	a.mu.Unlock()
	if !known {
		c.OnClose(func() { a.leave(c, cl) })
	}
	return cl, nil
}

// isNaming says whether a connection may register and subscribe.
func isNaming(c *stream.Conn) bool {
	s := c.Setup()
	return s != nil && s.Labels["module"] == "naming"
}

// disconnected is NAC-ERR-11.
func disconnected(c *stream.Conn) error {
	return &naming.Error{Reason: naming.Disconnected, Detail: "errCode: -401, errMsg: Client [" + c.ID() +
		"] connection already disconnect, can't register ephemeral instance. "}
}

// leave ends a client with all it registered, unless it is the server that goes:
// until it has gone it may be asked who is there.
func (a *API) leave(c *stream.Conn, cl *client) {
	a.mu.Lock()
	delete(a.clients, c)
	a.mu.Unlock()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.gone = true
	if a.server.Draining() {
		return
	}
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := a.naming.Leave(ctx, naming.Connection(c.ID())); err != nil {
		a.log.Error("instances of a connection that ended stay", zap.String("client", c.ID()), zap.Error(err))
	}
}

// as runs f for the client of a connection, one after another, unless the
// connection has ended.
func (a *API) as(c *stream.Conn, f func(naming.Client) error) error {
	cl, err := a.client(c)
	if err != nil {
		return err
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.gone {
		return disconnected(c)
	}
	return f(naming.Connection(c.ID()))
}
