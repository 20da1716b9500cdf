package group

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/peer"
	"github.com/easynet-cn/batata/core/kv"
)

// Handler answers calls of other members.
type Handler func(ctx context.Context, from uint64, body []byte) ([]byte, error)

// maxAtOnce is how many calls of one service run at once (CTR-L02).
const maxAtOnce = 256

// Calls are the handlers of this member.
type Calls struct {
	Logger   *zap.Logger
	mu       sync.RWMutex // guards services
	services map[string]*service
}

type service struct {
	methods map[string]Handler
	room    chan struct{}
}

// Handle registers a handler; the last one stays.
func (c *Calls) Handle(name, method string, h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.services == nil {
		c.services = map[string]*service{}
	}
	s := c.services[name]
	if s == nil {
		s = &service{methods: map[string]Handler{}, room: make(chan struct{}, maxAtOnce)}
		c.services[name] = s
	}
	s.methods[method] = h
}

// Forget drops all handlers of a service.
func (c *Calls) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.services, name)
}

func (c *Calls) find(name, method string) (*service, Handler) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.services[name]
	if s == nil {
		return nil, nil
	}
	return s, s.methods[method]
}

// Run calls a handler of this member: recovered and bounded. An unknown one is
// kv.ErrNotFound, which callers take for an older member.
func (c *Calls) Run(ctx context.Context, from uint64, name, method string, body []byte) (out []byte, err error) {
	s, h := c.find(name, method)
	if h == nil {
		return nil, fmt.Errorf("%s %s: %w", name, method, kv.ErrNotFound)
	}
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		return nil, fmt.Errorf("%s: %d calls at once: %w", name, maxAtOnce, kv.ErrOverloaded)
	}
	defer func() {
		if p := recover(); p != nil {
			c.Logger.Error("handler of a call panicked", zap.String("service", name), zap.String("method", method),
				zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			out, err = nil, fmt.Errorf("%s %s: internal error", name, method)
		}
	}()
	out, err = h(ctx, from, body)
	if err == nil && len(out) > peer.MaxBody {
		return nil, fmt.Errorf("%s %s: answer: %w", name, method, kv.ErrTooLarge)
	}
	return out, err
}

// Local is Run for this member itself, which is told what another would be.
func (c *Calls) Local(ctx context.Context, self uint64, name, method string, body []byte) ([]byte, error) {
	out, err := c.Run(ctx, self, name, method, body)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", method, peer.Told(err))
	}
	return out, nil
}

// Call reaches a handler on a member, this one included.
func (g *Group) Call(ctx context.Context, to uint64, service, method string, body []byte) ([]byte, error) {
	if to == g.o.Identity.Member() {
		return g.o.Calls.Local(ctx, to, service, method, body)
	}
	return g.pool.Call(ctx, to, service, method, body)
}
