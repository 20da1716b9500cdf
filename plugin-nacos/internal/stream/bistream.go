package stream

import (
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// RequestBiStream implements the stream service: setup, acknowledgements, and
// pushes the other way.
func (s *Server) RequestBiStream(bi biStream) error {
	c := connOf(bi.Context())
	if c == nil || !s.isReady(bi.Context()) {
		return nil // NAC-CON-08: ended without a message
	}
	messages := make(chan *nacospb.Payload)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			p, err := bi.Recv()
			if err != nil {
				return // half-closed, or gone
			}
			select {
			case messages <- p:
			case <-bi.Context().Done():
				return
			}
		}
	}()
	owner := false // of the registration
	defer func() {
		if owner {
			c.close()
		}
	}()
	for {
		select {
		case p := <-messages:
			if s.receive(c, p, bi, &owner) != nil {
				return nil
			}
		case <-over:
			return nil
		case <-c.done:
			return nil
		}
	}
}

// biStream is the stream of one client.
type biStream = grpc.BidiStreamingServer[nacospb.Payload, nacospb.Payload]

var errRefused = errors.New("connection refused")

// receive handles one message of the stream. Before the setup all others are
// ignored (NAC-CON-05).
func (s *Server) receive(c *Conn, p *nacospb.Payload, bi biStream, owner *bool) error {
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
			*owner = true
			go c.write(bi)
			s.logger.Debug("client registered", zap.String("connection", c.id), zap.String("version", setup.Version))
		}
		c.touch()
		if ack {
			c.send(&outgoing{"SetupAckRequest", s.setupAck})
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
