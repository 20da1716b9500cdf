package namingrpc

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// The types of requests about instances.
const (
	doRegister   = "registerInstance"
	doDeregister = "deregisterInstance"
	doBatch      = "batchRegisterInstance"
)

// The answers to what was done, the same for everybody.
var ( //nolint:gochecknoglobals // constants
	registered   = done(typeInstance, doRegister)
	deregistered = done(typeInstance, doDeregister)
	batched      = done(typeBatch, doBatch)
)

func done(class, what string) stream.Answer {
	return stream.Encode(class, struct {
		stream.Status
		Type string `json:"type"`
	}{stream.OK, what})
}

func badType(kind string) error {
	return &naming.Error{Reason: naming.BadType, Detail: "Unsupported request type " + kind}
}

// instance is NAC-NAM-20..22.
func (a *API) instance(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k, err := r.key()
	if err != nil {
		return stream.Answer{}, err
	}
	switch r.kind {
	case doRegister:
		in, err := r.theInstance()
		if err == nil {
			err = a.as(c.Conn, func(cl naming.Client) error { return a.naming.Register(ctx, cl, k, in) }) //nolint:contextcheck // the end of a connection has its own
		}
		return registered, err
	case doDeregister: // whatever the instance says
		return deregistered, a.as(c.Conn, func(cl naming.Client) error { return a.naming.Deregister(ctx, cl, k) }) //nolint:contextcheck // likewise
	}
	return stream.Answer{}, badType(r.kind)
}

// persistent is NAC-NAM-25. It belongs to no connection.
func (a *API) persistent(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k, err := r.key()
	if err != nil {
		return stream.Answer{}, err
	}
	if r.kind != doRegister && r.kind != doDeregister {
		return stream.Answer{}, badType(r.kind)
	}
	in, err := r.theInstance()
	if err != nil {
		return stream.Answer{}, err
	}
	if r.kind == doRegister {
		return registered, a.naming.RegisterPersistent(ctx, c.Actor(), k, in)
	}
	return deregistered, a.naming.DeregisterPersistent(ctx, c.Actor(), k, in.IP, in.Port)
}

// batch is NAC-NAM-24.
func (a *API) batch(ctx context.Context, c *stream.Call) (stream.Answer, error) {
	r := parse(c.Body)
	k, err := r.key()
	if err != nil {
		return stream.Answer{}, err
	}
	if r.kind != doBatch {
		return stream.Answer{}, badType(r.kind)
	}
	ins, err := r.theInstances()
	if err != nil {
		return stream.Answer{}, err
	}
	return batched, a.as(c.Conn, func(cl naming.Client) error { return a.naming.RegisterBatch(ctx, cl, k, ins) }) //nolint:contextcheck // likewise
}

func (r *request) theInstance() (naming.Instance, error) {
	if !r.instance.IsObject() {
		return naming.Instance{}, bad("Instance can not be null.")
	}
	return instanceOf(r.instance)
}

func (r *request) theInstances() (ins []naming.Instance, err error) {
	if r.instances.Type == gjson.Null {
		return nil, nil
	}
	if !r.instances.IsArray() {
		return nil, bad("Instances are no list.")
	}
	r.instances.ForEach(func(_, v gjson.Result) bool {
		if len(ins) == registry.MaxPublish {
			err = bad(fmt.Sprintf("more than %d instances in one batch", registry.MaxPublish))
			return false
		}
		var in naming.Instance
		if in, err = instanceOf(v); err != nil {
			return false
		}
		ins = append(ins, in)
		return true
	})
	return ins, err
}
