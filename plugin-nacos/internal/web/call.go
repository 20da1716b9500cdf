package web

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin"
)

// Call is one request that the gate let pass. It belongs to its handler.
type Call struct {
	W http.ResponseWriter
	R *http.Request

	// Identity is who calls, nil for nobody.
	Identity *auth.Identity

	params params
	room   [8]param // for requests with few of them
}

// Context ends when the client is gone.
func (c *Call) Context() context.Context { return c.R.Context() }

// Park takes the call from its handler, see plugin.Parker: false means that the
// handler goes on as usual.
func (c *Call) Park(until time.Time, over func(gone bool)) (plugin.Parked, bool) {
	if p, ok := c.W.(plugin.Parker); ok {
		return p.Park(until, over)
	}
	return nil, false
}

// Param returns a parameter, blank when absent.
func (c *Call) Param(name string) string {
	v, _ := c.params.get(name)
	return v
}

// ParamAnyCase is Param by a name in any case: that of credentials (NAC-AUT-08).
// The name as it is spelled comes first.
func (c *Call) ParamAnyCase(name string) string {
	if v, ok := c.params.get(name); ok {
		return v
	}
	for _, p := range c.params {
		if strings.EqualFold(p.name, name) {
			v, _ := c.params.get(p.name)
			return v
		}
	}
	return ""
}

// Lookup returns a parameter and whether it was sent.
func (c *Call) Lookup(name string) (string, bool) { return c.params.get(name) }

// Optional returns a parameter, nil when it was not sent.
func (c *Call) Optional(name string) *string {
	v, ok := c.params.get(name)
	if !ok {
		return nil
	}
	sent := v // only what was sent goes to the heap
	return &sent
}

// Require returns a *MissingError for the first of the parameters that was not
// sent; blank ones pass.
func (c *Call) Require(names ...string) error {
	for _, n := range names {
		if _, ok := c.params.get(n); !ok {
			return &MissingError{Name: n}
		}
	}
	return nil
}

// Header returns a header by its canonical name, blank when absent.
func (c *Call) Header(canonical string) string {
	if vs := c.R.Header[canonical]; len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// ClientIP is the address that grays are chosen by: what a proxy says, else the
// peer (NAC-HTP-05). It proves nothing.
func (c *Call) ClientIP() string {
	first, _, _ := strings.Cut(c.Header("X-Forwarded-For"), ",")
	if ip := strings.TrimSpace(first); ip != "" {
		return ip
	}
	if ip := strings.TrimSpace(c.Header("X-Real-Ip")); ip != "" {
		return ip
	}
	return c.Peer()
}

// Peer is the host part of the address of the connection.
func (c *Call) Peer() string { return peer(c.R) }

// Local says whether the caller sits on this machine and is no proxy.
func (c *Call) Local() bool {
	ip := net.ParseIP(c.Peer())
	return ip != nil && ip.IsLoopback() && !c.Proxied()
}

// Proxied says whether a proxy sent this for somebody else, and tells so.
func (c *Call) Proxied() bool {
	for _, h := range [...]string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via"} {
		if c.Header(h) != "" {
			return true
		}
	}
	return false
}

// Agent is the name and version of a client (NAC-HTP-06).
func (c *Call) Agent() string {
	if agent := c.Header("User-Agent"); agent != "" {
		return agent
	}
	return c.Header("Client-Version")
}

// Actor is who is recorded with a write.
func (c *Call) Actor() auth.Actor {
	a := auth.Actor{Protocol: Protocol, Addr: c.ClientIP()}
	if c.Identity != nil {
		a.Subject, a.Source, a.Admin = c.Identity.Actor.Subject, c.Identity.Actor.Source, c.Identity.Actor.Admin
	}
	return a
}

// Protocol names this personality in records.
const Protocol = "nacos"

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// MissingError reports a required parameter that was not sent.
type MissingError struct {
	Name string
	Type string // as a Result names it; blank: String
	// Signature says that V1 naming finds it missing before the handler runs,
	// which it tells in other words.
	Signature bool
}

// Error implements error.
func (e *MissingError) Error() string { return "Required parameter '" + e.Name + "' is not present." }

// naming is the text of V1 naming.
func (e *MissingError) naming() string {
	if e.Signature {
		return "Parameter '" + e.Name + "' is missing"
	}
	return "Param '" + e.Name + "' is required."
}

// ConvertError reports a parameter that is not of its type.
type ConvertError struct{ Name, Value string }

// Error implements error.
func (e *ConvertError) Error() string {
	const shown = 64 // bytes of a value that is told back
	v := e.Value
	if len(v) > shown {
		v = v[:shown]
	}
	return "For input string: " + strconv.Quote(v)
}
