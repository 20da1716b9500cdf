package stream

import (
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/plugin"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// RequestBiStream implements the stream service: setup, acknowledgements, and
// pushes the other way.
func (s *Server) RequestBiStream(bi biStream) error {
	c := connOf(bi.Context())
	if c == nil || !s.isReady(bi.Context()) {
		return nil // NAC-CON-08: ended without a message
	}
	r := &reader{server: s, conn: c}
	if r.detach(bi) {
		return nil
	}
	r.converse(bi)
	return s.farewell()
}

// farewell is what a stream ends with.
func (s *Server) farewell() error {
	if s.leaving() {
		return errStops
	}
	return nil
}

// converse serves a stream on the goroutine of its handler.
func (r *reader) converse(bi biStream) {
	c := r.conn
	r.owns, r.over = make(chan struct{}), make(chan struct{})
	go r.read(bi)
	select {
	case <-r.owns:
		c.write(bi, r.over)
	case <-r.over:
	case <-c.done:
	}
	select {
	case <-r.owns: // the end of this stream is that of the registration
		c.close()
	default:
	}
}

// reader takes what a client sends on its stream: as a receiver of hosts that have
// none but that, else on a goroutine of its own that ends with the stream.
type reader struct {
	server *Server
	conn   *Conn

	line  plugin.Detached // nil: it has a goroutine
	owner bool            // this stream registered the connection

	owns chan struct{} // closed when this stream registered the connection
	over chan struct{} // closed when nothing more comes
}

// registered notes that this stream is that of the connection.
func (r *reader) registered() {
	if r.line == nil {
		close(r.owns)
		return
	}
	r.owner = true
	r.conn.join(r.line)
}

func (r *reader) read(bi biStream) {
	defer close(r.over)
	for {
		p, err := bi.Recv()
		if err != nil {
			return // half-closed, or gone
		}
		if r.receive(p) != nil {
			return
		}
	}
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
			r.registered()
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
