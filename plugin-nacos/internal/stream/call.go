package stream

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/errs"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// Handler answers the calls of one type.
type Handler struct {
	// Response is the class of the answer.
	Response string
	// Access is what the caller must be allowed to; it looks at the body.
	Access func(Body) authmap.Access
	// Param reads what Access asks for from the body; unused by one that does not.
	Param func(Body, string) string
	// Handle answers. An error is told in the class Response.
	Handle func(context.Context, *Call) (Answer, error)
	// Fail renders a failure; nil: a bare Status.
	Fail func(*Call, Status) any
	// Unregistered calls are answered on any transport.
	Unregistered bool
}

// Call is one request that the gate let pass.
type Call struct {
	Conn     *Conn
	Body     Body
	Identity *auth.Identity // nil: nobody

	headers map[string]string
}

// Header returns a header of the request; case does not count (NAC-TRN-06).
func (c *Call) Header(name string) string { return header(c.headers, name) }

// Actor is who is recorded with a write.
func (c *Call) Actor() auth.Actor {
	a := auth.Actor{Protocol: "nacos", Addr: c.IP()}
	if c.Identity != nil {
		a.Subject, a.Source, a.Admin = c.Identity.Actor.Subject, c.Identity.Actor.Source, c.Identity.Actor.Admin
	}
	return a
}

// IP is the address that grays are chosen by.
func (c *Call) IP() string {
	if s := c.Conn.Setup(); s != nil {
		return s.ClientIP
	}
	return c.Conn.Remote()
}

func header(hs map[string]string, name string) string {
	if v, ok := hs[name]; ok {
		return v
	}
	for k, v := range hs {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// Handle registers a handler; legal before serving only.
func (s *Server) Handle(kind string, h Handler) { s.handlers[kind] = h }

// inner are the types of servers among themselves, which clients may not use
// (NAC-TRN-16).
func inner(kind string) bool {
	switch kind {
	case "ConfigChangeClusterSyncRequest", "DistroDataRequest", "MemberReportRequest",
		"ServerLoaderInfoRequest", "ServerReloadRequest":
		return true
	}
	return false
}

// Call answers one request of the unary service. It makes the checks in their
// order (NAC-ERR).
func (s *Server) Call(ctx context.Context, p *nacospb.Payload) Answer {
	kind := p.GetMetadata().GetType()
	conn := connOf(ctx)
	if conn == nil || !s.isReady(ctx) {
		return errorStarting()
	}
	h, known := s.handlers[kind]
	if !known && !inner(kind) {
		s.meters.requests.WithLabelValues("unknown").Inc()
		return refuse(codeUnknown, "RequestHandler Not Found")
	}
	s.meters.requests.WithLabelValues(kind).Inc()
	call := &Call{Conn: conn, headers: p.GetMetadata().GetHeaders()}
	if h.Unregistered {
		return s.handle(ctx, kind, &h, call)
	}
	if conn.Setup() == nil || conn.isClosed() {
		return refuse(codeUnregistered, "Connection is unregistered.")
	}
	if inner(kind) {
		return refuse(codeBad, " invoke "+kind+" from sdk is forbidden")
	}
	conn.touch()
	var ok bool
	if call.Body, ok = ParseBody(p.GetBody().GetValue()); !ok {
		return refuse(codeBad, "errCode: 101, errMsg: Nacos deserialize failed.  ")
	}
	return s.handle(ctx, kind, &h, call)
}

// handle asks the gate and calls the handler. A handler that panics costs its
// call alone.
func (s *Server) handle(ctx context.Context, kind string, h *Handler, c *Call) (a Answer) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("handler panicked", zap.String("type", kind), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			a = refuse(codeServer, "server error")
		}
	}()
	err := s.admit(ctx, h, c)
	if err == nil {
		a, err = h.Handle(ctx, c)
	}
	if err == nil {
		return a
	}
	return s.fail(kind, h, c, err)
}

func (s *Server) admit(ctx context.Context, h *Handler, c *Call) (err error) {
	if h.Access == nil {
		return nil // health and setup: everybody
	}
	access := h.Access(c.Body)
	source := func(name string) string { return header(c.headers, name) }
	proof := authmap.Credentials(source, source)
	proof.Addr, proof.Plane = c.Conn.Remote(), access.Plane()
	if c.Identity, err = s.gate.Authenticate(ctx, proof); err != nil || !s.gate.Guarded(access.Plane()) {
		return err
	}
	return s.gate.Authorize(ctx, access.Plane(), c.Identity, access.Requests(func(name string) string { return h.Param(c.Body, name) })...)
}

// fail tells an error in the class of the answer (NAC-ERR-21).
func (s *Server) fail(kind string, h *Handler, c *Call, err error) Answer {
	told := errs.Of(err)
	message := told.Detail
	var refused *config.Error
	if told.Plain {
		message = "Param check invalid:" + message // NAC-ERR-08
	}
	if told.Status >= 500 && !errors.As(err, &refused) {
		s.logger.Warn("request failed", zap.String("type", kind), zap.Error(err))
	}
	code := told.GRPC
	if code == 0 {
		code = codeServer
	}
	if errors.Is(err, errs.ErrStarting) {
		return errorStarting()
	}
	status := Fail(code, message)
	if told.Alien {
		status.ResultCode = code
		return Encode(typeError, status)
	}
	if h.Fail != nil {
		return Encode(h.Response, h.Fail(c, status))
	}
	return Encode(h.Response, status)
}

// typeCheck is what a client asks first.
const typeCheck = "ServerCheckRequest"

// builtin are the types of the connection itself.
func (s *Server) builtin() {
	s.Handle(typeCheck, Handler{
		Response: "ServerCheckResponse", Unregistered: true,
		Handle: func(_ context.Context, c *Call) (Answer, error) {
			return Encode("ServerCheckResponse", struct {
				Status
				Conn        string `json:"connectionId"`
				Negotiation bool   `json:"supportAbilityNegotiation"`
			}{OK, c.Conn.id, true}), nil
		},
	})
	s.Handle("HealthCheckRequest", Handler{Response: "HealthCheckResponse", Handle: s.healthy})
}
