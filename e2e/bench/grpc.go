package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// raw passes prepared bytes through, so that the driver encodes nothing while it
// measures.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// unaryCaller has one connection and one call in flight, and takes little of the
// cores.
type unaryCaller struct {
	*swarm.Caller
	request func(n int) []byte
	check   func(answer []byte) error
}

func dialUnary(addr, method string, request func(int) []byte, check func([]byte) error) (*unaryCaller, error) {
	c, err := swarm.DialCaller(addr, method)
	if err != nil {
		return nil, err
	}
	return &unaryCaller{c, request, check}, nil
}

func (c *unaryCaller) close() { c.Close() }

func (c *unaryCaller) do(n int) error {
	answer, err := c.Call(c.request(n))
	if err != nil {
		return err
	}
	return c.check(answer)
}

// register makes the connection one the server knows: check, then setup on the
// stream.
func (c *unaryCaller) register(ctx context.Context, module string) error {
	answer, err := c.Call(payload("ServerCheckRequest", map[string]any{}))
	if err != nil {
		return err
	}
	settles := bytes.Contains(answer, settlesOK)
	if err := c.Open(pathStream, setupPayload(module), settles); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	if !settles {
		wait(ctx, 100*time.Millisecond) // NAC-CON-07
	}
	return nil
}

// paths of the calls (NAC-TRN-01).
const (
	pathUnary  = "/Request/request"
	pathStream = "/BiRequestStream/requestBiStream"
)

// settlesOK is in the answer to a check when the setup will be acknowledged
// (NAC-CON-06).
var settlesOK = []byte(`"supportAbilityNegotiation":true`)

func setupPayload(module string) []byte {
	return payload("ConnectionSetupRequest", map[string]any{
		"clientVersion": "bench", "labels": map[string]string{"source": "sdk", "module": module}, "abilityTable": map[string]bool{},
	})
}

// grpcCaller calls through grpc-go, with deadlines and connections that come
// again.
type grpcCaller struct {
	conn   *grpc.ClientConn
	method string
	check  func(answer []byte) error
	end    context.CancelFunc
}

func dialGRPC(addr, method string, check func([]byte) error) (*grpcCaller, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		return nil, err
	}
	return &grpcCaller{conn: conn, method: method, check: check, end: func() {}}, nil
}

func (c *grpcCaller) close() {
	c.end()
	_ = c.conn.Close()
}

// send makes one call with a prepared request.
func (c *grpcCaller) send(req []byte) error {
	answer, err := c.ask(context.Background(), req)
	if err != nil {
		return err
	}
	return c.check(answer)
}

// ask returns the answer to a prepared request.
func (c *grpcCaller) ask(ctx context.Context, req []byte) (answer []byte, err error) {
	err = c.conn.Invoke(ctx, c.method, &req, &answer)
	return answer, err
}

// register is that of unaryCaller.
func (c *grpcCaller) register(ctx context.Context, module string) error {
	answer, err := c.ask(ctx, payload("ServerCheckRequest", map[string]any{}))
	if err != nil {
		return err
	}
	ctx, c.end = context.WithCancel(ctx)
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, pathStream)
	if err != nil {
		return err
	}
	setup := setupPayload(module)
	if err := stream.SendMsg(&setup); err != nil {
		return err
	}
	if !bytes.Contains(answer, settlesOK) {
		wait(ctx, 100*time.Millisecond) // NAC-CON-07
		return nil
	}
	var ack []byte
	if err := stream.RecvMsg(&ack); err != nil {
		return fmt.Errorf("wait for setup: %w", err)
	}
	return nil
}

// dialSDK opens a registered connection through grpc-go.
func dialSDK(s *setup, t *target, module string) (*grpcCaller, error) {
	addr, err := t.grpc()
	if err != nil {
		return nil, err
	}
	c, err := dialGRPC(addr, pathUnary, succeeded)
	if err != nil {
		return nil, err
	}
	if err := c.register(s.ctx, module); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func queryPayload(int) []byte { return queryBytes }

var queryBytes = payload("ConfigQueryRequest", map[string]any{"dataId": "hot", "group": group, "tenant": ""})

// publishPayload renders all but the key beforehand, as the puts of the ceiling
// are: the driver shares the cores with what it measures. Keys need no escapes.
func publishPayload(key func(int) string, content string) func(int) []byte {
	before, behind, _ := bytes.Cut(publishBody("\x00", content), []byte(`\u0000`))
	return func(n int) []byte {
		return swarm.Payload("ConfigPublishRequest", slices.Concat(before, []byte(key(n)), behind))
	}
}

func publishBody(key, content string) []byte {
	b, err := json.Marshal(map[string]any{"dataId": key, "group": group, "tenant": "", "content": content, "additionMap": map[string]string{}})
	if err != nil {
		panic(err)
	}
	return b
}

var resultOK = []byte(`"resultCode":200`)

// succeeded accepts an answer whose body says so.
func succeeded(answer []byte) error {
	if !bytes.Contains(answer, resultOK) {
		return fmt.Errorf("answered %q", answer[:min(len(answer), 500)])
	}
	return nil
}

// putRequest encodes a put of the etcd API.
func putRequest(key func(int) string, value string) func(int) []byte {
	return func(n int) []byte {
		var b []byte
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, key(n))
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		return protowire.AppendString(b, value)
	}
}

func anyAnswer([]byte) error { return nil }
