package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/kv"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// MaxBody is the most bytes of a call and of its answer (CTR-B10).
const MaxBody = 12 << 20

// Call reaches a handler on another member: one attempt, past its breaker. What
// the handler itself returned is a *cluster.HandlerError; cluster.ErrUnreachable
// is certain not to have run it, kv.ErrUncertain is not.
func (p *Pool) Call(ctx context.Context, to uint64, service, method string, body []byte) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("call %s: %w", method, kv.ErrTooLarge)
	}
	x := p.peer(to)
	if x == nil {
		return nil, fmt.Errorf("call %s: member %016x: %w", method, to, kv.ErrNotFound)
	}
	if !x.breaker.allow(time.Now()) {
		return nil, fmt.Errorf("call %s: member %016x: breaker is open: %w", method, to, cluster.ErrUnreachable)
	}
	out, err := x.call(ctx, service, method, body)
	failed := errors.Is(err, cluster.ErrUnreachable) || errors.Is(err, kv.ErrUncertain) && !errors.Is(ctx.Err(), context.Canceled)
	x.breaker.done(time.Now(), !failed)
	if err != nil {
		return nil, fmt.Errorf("call %s: member %016x: %w", method, to, err)
	}
	return out, nil
}

func (x *remotePeer) call(ctx context.Context, service, method string, body []byte) ([]byte, error) {
	client := x.client(len(body))
	if client == nil {
		return nil, cluster.ErrUnreachable
	}
	r, err := client.Call(ctx, &peerv1.CallRequest{Service: service, Method: method, Body: body})
	if err != nil {
		return nil, callError(err)
	}
	return r.GetBody(), nil
}

// callStatus is how the outcome of a handler travels, callError the way back.
func callStatus(err error) error {
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, kv.ErrOverloaded):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, kv.ErrTooLarge):
		return status.Error(codes.OutOfRange, err.Error())
	}
	return status.Error(codes.Aborted, err.Error())
}

func callError(err error) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.NotFound:
		return fmt.Errorf("%s: %w", s.Message(), kv.ErrNotFound)
	case codes.ResourceExhausted:
		return fmt.Errorf("%s: %w", s.Message(), kv.ErrOverloaded)
	case codes.OutOfRange:
		return fmt.Errorf("%s: %w", s.Message(), kv.ErrTooLarge)
	case codes.Aborted:
		return &cluster.HandlerError{Text: s.Message()}
	case codes.FailedPrecondition, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return fmt.Errorf("%s: %w", s.Message(), cluster.ErrUnreachable) // refused before it ran
	default:
		return fmt.Errorf("%s: %w", s.Message(), kv.ErrUncertain)
	}
}
