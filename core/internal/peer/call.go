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
	leave := x.breaker.allow(time.Now())
	if leave == stop {
		return nil, fmt.Errorf("call %s: member %016x: breaker is open: %w", method, to, cluster.ErrUnreachable)
	}
	out, err := x.call(ctx, service, method, body)
	failed := errors.Is(err, cluster.ErrUnreachable) || errors.Is(err, kv.ErrUncertain) && !errors.Is(ctx.Err(), context.Canceled)
	if x.breaker.done(time.Now(), leave, !failed) {
		x.tripped(err)
	}
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

// told are the errors of handlers that mean the same to the caller, and the codes
// they travel as: gRPC itself never sends these.
func told() map[codes.Code]error {
	return map[codes.Code]error{
		codes.NotFound: kv.ErrNotFound, codes.ResourceExhausted: kv.ErrOverloaded,
		codes.OutOfRange: kv.ErrTooLarge, codes.AlreadyExists: kv.ErrNoLeader,
	}
}

// Told is the outcome of a handler as its caller gets it: one of a few errors
// that mean the same everywhere, or a *cluster.HandlerError.
func Told(err error) error {
	for _, known := range told() {
		if errors.Is(err, known) {
			return err
		}
	}
	return &cluster.HandlerError{Text: err.Error()}
}

// callStatus is how the outcome of a handler travels, callError the way back.
func callStatus(err error) error {
	for code, known := range told() {
		if errors.Is(err, known) {
			return status.Error(code, err.Error())
		}
	}
	return status.Error(codes.Aborted, err.Error())
}

func callError(err error) error {
	s := status.Convert(err)
	if known, ok := told()[s.Code()]; ok {
		return fmt.Errorf("%s: %w", s.Message(), known)
	}
	switch s.Code() {
	case codes.Aborted:
		return &cluster.HandlerError{Text: s.Message()}
	case codes.FailedPrecondition, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return fmt.Errorf("%s: %w", s.Message(), cluster.ErrUnreachable) // refused before it ran
	default:
		return fmt.Errorf("%s: %w", s.Message(), kv.ErrUncertain)
	}
}
