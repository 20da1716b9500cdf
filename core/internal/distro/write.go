package distro

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/registry"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// errUnreached reports that another member has not done a write, or may not have.
var errUnreached = errors.New("member that owns the publisher does not answer")

// The outcomes of a write.
const (
	codeDone = iota
	codeNotFound
	codeConflict
	codeTooLarge
	codeOverloaded
	codeForeign
	codeNotReady
	codeOther
)

var codes = map[uint32]error{ //nolint:gochecknoglobals // a constant
	codeNotFound: kv.ErrNotFound, codeConflict: kv.ErrConflict, codeTooLarge: kv.ErrTooLarge,
	codeOverloaded: kv.ErrOverloaded, codeForeign: kv.ErrForeign, codeNotReady: errUnreached,
}

func codeOf(err error) uint32 {
	if err == nil {
		return codeDone
	}
	for code, target := range codes {
		if errors.Is(err, target) {
			return code
		}
	}
	return codeOther
}

// forward passes a write on, and shows here what came of it.
func (e *Engine) forward(ctx context.Context, to uint64, call *peerv1.DistroCall) (*peerv1.DistroReply, error) {
	if call.GetKey() != nil {
		call.Sets = e.state.unheard(keyIn(call.GetKey()), to, time.Now())
	}
	body, err := proto.Marshal(call)
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	part, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	out, err := e.o.Transport.Call(part, to, MethodWrite, body)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.meters.forwarded.WithLabelValues("unreached").Inc()
		return nil, errUnreached
	}
	r := &peerv1.DistroReply{}
	if err := proto.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("forward: answer: %w", err)
	}
	e.state.absorb(to, r.GetSets(), time.Now())
	if r.GetCode() == codeDone {
		e.meters.forwarded.WithLabelValues("done").Inc()
		return r, nil
	}
	e.meters.forwarded.WithLabelValues("refused").Inc()
	if target := codes[r.GetCode()]; target != nil {
		return r, fmt.Errorf("%s: %w", r.GetText(), target)
	}
	return r, errors.New(r.GetText())
}

// write does what another member passes on.
func (e *Engine) write(ctx context.Context, from uint64, body []byte) ([]byte, error) {
	var call peerv1.DistroCall
	if err := proto.Unmarshal(body, &call); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	e.state.absorb(from, call.GetSets(), time.Now())
	r := &peerv1.DistroReply{}
	keys, err := e.do(ctx, &call, r)
	if r.Code = codeOf(err); err != nil {
		r.Text = err.Error()
	}
	r.Sets, r.Clock = e.state.show(keys, time.Now())
	r.Epoch = e.state.settings.Epoch
	e.rouse()
	return proto.Marshal(r)
}

// do makes a write, and returns the publishers it is about.
func (e *Engine) do(ctx context.Context, call *peerv1.DistroCall, r *peerv1.DistroReply) (keys []registry.PublisherKey, err error) {
	if rt := e.state.routes.Load(); rt == nil || !rt.synced {
		return nil, errUnreached // it knows too little
	}
	k := keyIn(call.GetKey())
	w := &ephemeral{engine: e, owner: k.Owner, local: e.o.Catalog.Ephemeral(k.Owner)}
	switch call.GetKind() {
	case peerv1.DistroCall_KIND_OPEN:
		p, err := catalog.DecodePublisher(k, call.GetPublisher())
		if err != nil {
			return nil, err
		}
		return []registry.PublisherKey{k}, w.local.Open(ctx, *p)
	case peerv1.DistroCall_KIND_PUBLISH:
		rs, err := registrations(call.GetInstances())
		if err != nil {
			return nil, err
		}
		mode := registry.Mode(min(call.GetMode(), 255))
		return []registry.PublisherKey{k}, w.settle(k, func() error { return w.local.Publish(ctx, k, mode, rs) })
	case peerv1.DistroCall_KIND_WITHDRAW:
		ks := make([]registry.InstanceKey, len(call.GetNames()))
		for i, n := range call.GetNames() {
			ks[i] = nameIn(&k, n)
		}
		return []registry.PublisherKey{k}, w.settle(k, func() error { return w.local.Withdraw(ctx, k, ks) })
	case peerv1.DistroCall_KIND_CLOSE:
		if h, known := e.o.Catalog.Home(k); known && h.Free {
			e.o.Catalog.TakeOver(k)
		}
		return []registry.PublisherKey{k}, w.local.Close(ctx, []registry.PublisherKey{k})
	case peerv1.DistroCall_KIND_BEAT:
		return e.doBeats(ctx, call.GetBeats(), r)
	case peerv1.DistroCall_KIND_UNSPECIFIED:
	}
	return nil, fmt.Errorf("write of kind %d: unknown", call.GetKind())
}

func registrations(list []*peerv1.DistroInstance) (rs []registry.Registration, err error) {
	if len(list) > registry.MaxPublish {
		return nil, fmt.Errorf("%d registrations: %w", len(list), kv.ErrTooLarge)
	}
	rs = make([]registry.Registration, len(list))
	for i, in := range list {
		if rs[i], err = instanceIn(in); err != nil {
			return nil, fmt.Errorf("registration %d: %w", i, err)
		}
	}
	return rs, nil
}

// doBeats returns the publishers of unknown beats: it may be known that they are
// gone.
func (e *Engine) doBeats(ctx context.Context, bs []*peerv1.DistroBeat, r *peerv1.DistroReply) (keys []registry.PublisherKey, err error) {
	if len(bs) > registry.MaxPublish {
		return nil, fmt.Errorf("%d beats: %w", len(bs), kv.ErrTooLarge)
	}
	for i, b := range bs {
		k := keyIn(b.GetKey())
		beat := registry.Beat{Instance: nameIn(&k, b.GetName()), Status: registry.Status(min(b.GetStatus(), 255))}
		unknown, err := e.o.Catalog.Ephemeral(k.Owner).Beat(ctx, []registry.Beat{beat})
		if err != nil || len(unknown) > 0 { // its own member has checked it; others must not pay
			r.Unknown = append(r.Unknown, uint32(i))
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func nameOut(k *registry.InstanceKey) *peerv1.DistroName {
	return &peerv1.DistroName{
		Namespace: k.Service.Namespace, Group: k.Service.Group, Service: k.Service.Name, Subset: k.Subset, Id: k.ID,
	}
}

func nameIn(p *registry.PublisherKey, n *peerv1.DistroName) registry.InstanceKey {
	return registry.InstanceKey{
		Publisher: *p, Service: registry.ServiceKey{Namespace: n.GetNamespace(), Group: n.GetGroup(), Name: n.GetService()},
		Subset: n.GetSubset(), ID: n.GetId(),
	}
}
