package stream

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/plugin"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Conn is one transport of a client. It exists from the first byte; the setup
// message registers it. Its exported methods are safe for concurrent use.
type Conn struct {
	id     string
	remote string // host part of the peer's address
	server *Server

	active  atomic.Int64 // Unix ms of the last sign of life
	sending atomic.Int64 // Unix ms since when a write takes; 0: none does
	setup   atomic.Pointer[Setup]

	mu      sync.Mutex // guards the rest
	closed  bool
	closers []func()
	queue   queue
	timer   *time.Timer       // wakes for what is due; nil until something was sent
	lines   []plugin.Detached // streams that are open
	line    plugin.Detached   // the one that is written to; nil: there is none yet
	pumping bool              // the pushers have the connection
	slow    bool              // line takes nothing until it says so
}

// Setup is what a client said when it registered; it does not change.
type Setup struct {
	ClientIP  string // as the client sees itself, else the peer's address (NAC-TRN-21)
	Version   string
	Tenant    string
	Labels    map[string]string
	Abilities map[string]bool
}

// Label returns a label that the client set for its application, that is with
// the prefix app_.
func (s *Setup) Label(name string) string { return s.Labels["app_"+name] }

func newConn(s *Server, addr net.Addr, now time.Time) *Conn {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		host, port = addr.String(), "0"
	}
	c := &Conn{
		id:     formatID(uint64(now.UnixMilli())) + "_" + host + "_" + port, // NAC-TRN-11
		remote: host, server: s,
	}
	c.active.Store(now.UnixMilli())
	return c
}

// ID is the opaque name of the connection.
func (c *Conn) ID() string { return c.id }

// Remote is the host part of the peer's address.
func (c *Conn) Remote() string { return c.remote }

// Port is the port of the peer's address.
func (c *Conn) Port() int {
	n, _ := strconv.Atoi(c.id[strings.LastIndexByte(c.id, '_')+1:]) // 0 for an address without
	return n
}

// Setup returns what the client said, nil before it registered.
func (c *Conn) Setup() *Setup { return c.setup.Load() }

// touch notes a sign of life (NAC-CON-32).
func (c *Conn) touch() { c.active.Store(time.Now().UnixMilli()) }

// OnClose calls f once when the connection ends; at once when it has ended.
func (c *Conn) OnClose(f func()) {
	c.mu.Lock()
	if !c.closed {
		c.closers = append(c.closers, f)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	f()
}

// close ends the registration, and its streams.
// Further calls on the transport are told to connect again.
func (c *Conn) close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	closers, lines := c.closers, c.lines
	c.closers, c.lines, c.queue = nil, nil, queue{}
	c.arm(0)
	c.mu.Unlock()
	c.server.forget(c)
	for _, l := range lines {
		l.End(c.server.farewell())
	}
	for _, f := range closers {
		f()
	}
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// parseSetup reads a ConnectionSetupRequest; ack says that the client waits for
// the table of abilities (NAC-CON-06).
func parseSetup(p *nacospb.Payload, remote string) (s *Setup, ack, ok bool) {
	body, ok := ParseBody(p.GetBody().GetValue())
	if !ok {
		return nil, false, false
	}
	s = &Setup{
		ClientIP: p.GetMetadata().GetClientIp(), Version: body.Get("clientVersion").String(),
		Tenant: body.Get("tenant").String(), Labels: map[string]string{}, Abilities: map[string]bool{},
	}
	if strings.TrimSpace(s.ClientIP) == "" {
		s.ClientIP = remote
	}
	body.Get("labels").ForEach(func(k, v gjson.Result) bool {
		if v.Type != gjson.Null && len(s.Labels) < maxLabels {
			s.Labels[k.Str] = v.String()
		}
		return true
	})
	table := body.Get("abilityTable")
	table.ForEach(func(k, v gjson.Result) bool {
		if len(s.Abilities) < maxLabels {
			s.Abilities[k.Str] = v.Bool()
		}
		return true
	})
	return s, table.Exists(), true
}

// maxLabels bounds what one client may say about itself.
const maxLabels = 256
