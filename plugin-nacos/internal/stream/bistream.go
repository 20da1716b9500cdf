package stream

import (
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/plugin"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// RequestBiStream implements the stream service: setup, acknowledgements, and
// pushes the other way. The stream goes on without it.
func (s *Server) RequestBiStream(bi biStream) error {
	c := connOf(bi.Context())
	if c == nil || !s.isReady(bi.Context()) {
		return nil // NAC-CON-08: ended without a message
	}
	return (&reader{server: s, conn: c}).detach(bi)
}

// farewell is what a stream ends with.
func (s *Server) farewell() error {
	if s.leaving() {
		return errStops
	}
	return nil
}

// reader takes what a client sends on its stream, one message at a time.
type reader struct {
	server *Server
	conn   *Conn
	line   plugin.Detached
	owner  bool // this stream registered the connection
}

// biStream is the stream of one client.
type biStream = grpc.BidiStreamingServer[nacospb.Payload, nacospb.Payload]

var errRefused = errors.New("connection refused")

// receive handles one message of the stream. Before the setup all others are
// ignored (NAC-CON-05).
func (r *reader) receive(p *nacospb.Payload) error {
	s, c := r.server, r.conn
	switch kind := p.GetMetadata().GetType(); {
	case kind == "ConnectionSetupRequest":
		setup, ack, ok := parseSetup(p, c.remote)
		if !ok {
			return nil
		}
		if c.setup.CompareAndSwap(nil, setup) {
			if !s.adopt(c) {
				c.close()
				return errRefused
			}
			r.owner = true
			c.join(r.line)
			s.logger.Debug("client registered", zap.String("connection", c.id), zap.String("version", setup.Version))
		}
		c.touch()
		if ack {
			c.send(&message{kind: "SetupAckRequest", from: s.address, parts: [3][]byte{s.setupAck}})
		}
	case c.Setup() == nil:
	case kind == "HealthCheckRequest": // NAC-CON-31
		c.touch()
	case isAnswer(kind):
		body, ok := ParseBody(p.GetBody().GetValue())
		if !ok {
			s.logger.Debug("unreadable acknowledgement", zap.String("connection", c.id), zap.String("type", kind))
			return nil
		}
		c.touch()
		c.acknowledge(kind, body)
	}
	return nil
}
