package stream

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errStops ends what a server refuses that is about to stop, and its streams. To
// some clients a stream that ends well is no reason to connect again: Python 3.2.0
// waits for an error, or for its next check of health, and calls fail until then.
var errStops = status.Error(codes.Unavailable, "server stops")

const (
	// moveAgain is when a client is asked once more that did not answer.
	moveAgain = 5 * time.Second
	// refusal is how long a client waits that tries to come back while it is asked
	// to go: one that has a working connection tries the next server at once, and
	// where there is none it would ask without a pause.
	refusal = 100 * time.Millisecond
)

// Move asks all clients to go elsewhere and waits until they have, or ctx ends. A
// client opens its new connection first and is served on the old one until then
// (NAC-CON-34), so that none of its calls fails. New ones are refused. Call Drain
// afterwards.
func (s *Server) Move(ctx context.Context) {
	s.mu.Lock()
	s.moving = true
	gone := make(chan struct{})
	if s.gone = gone; len(s.conns) == 0 {
		close(gone)
		s.gone = nil
	}
	s.mu.Unlock()
	for _, c := range s.Conns() {
		// Both keys, and empty: Go stays with a server that it is sent to, whether it
		// can be reached or not, and Python reads no message without them (NAC-CON-35).
		c.Push(Push{
			Key: moveKey{}, Type: "ConnectResetRequest", Timeout: moveAgain, Retries: Forever,
			Rest:    fmt.Appendf(nil, `"serverIp":"","serverPort":"","connectionId":%q,"module":"internal"}`, c.id),
			Backoff: func(int) time.Duration { return moveAgain },
		})
	}
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

type moveKey struct{}

// leaving says whether clients are to go, or had to.
func (s *Server) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moving || s.draining
}

// Draining says whether clients end because the server does.
func (s *Server) Draining() bool { return s.leaving() }

// turnAway refuses the first call of a client that would come, after a while. A
// status, and no answer: Go takes any answer for a server that it may use, or for
// one to wait for (NAC-CON-02).
func (s *Server) turnAway(ctx context.Context, kind string) error {
	if kind != typeCheck || !s.leaving() {
		return nil
	}
	t := time.NewTimer(refusal)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return errStops
}

// healthy answers the check of a client's connection. Go asks for it before it goes
// elsewhere, and stays where all is well.
func (s *Server) healthy(context.Context, *Call) (Answer, error) {
	if s.leaving() {
		return Encode("HealthCheckResponse", Fail(codeServer, "server stops")), nil
	}
	return Encode("HealthCheckResponse", OK), nil
}
