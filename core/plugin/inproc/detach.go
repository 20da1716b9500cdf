package inproc

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/easynet-cn/batata/core/plugin"
)

// maxQueued is how many messages a detached stream queues before it takes nothing.
const maxQueued = 16

// detachable is a stream of grpc-go that can be detached. Its handler is over then,
// but the goroutine of it stays and sends, and another one receives; both end with
// the stream. It spares nothing: it is for hosts that have no other transport.
type detachable struct {
	grpc.ServerStream
	codec    encoding.CodecV2
	receiver plugin.Receiver // nil: not detached; set by the handler

	tells sync.Mutex    // held while the receiver is told something
	wake  chan struct{} // capacity 1: something below changed

	mu      sync.Mutex // guards what follows
	queue   []encoded
	starved bool // Send said that it is to wait
	ended   bool
	status  error
}

var (
	_ plugin.Detacher = (*detachable)(nil)
	_ plugin.Detached = (*detachable)(nil)
)

// detaching is the interceptor that makes streams detachable.
func detaching(c encoding.CodecV2) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		d := &detachable{ServerStream: ss, codec: c, wake: make(chan struct{}, 1)}
		if err := handler(srv, d); err != nil || d.receiver == nil {
			return err
		}
		go d.receive()
		return d.send()
	}
}

// Detach implements plugin.Detacher.
func (d *detachable) Detach(r plugin.Receiver) plugin.Detached {
	d.receiver = r
	return d
}

// Send implements plugin.Detached.
func (d *detachable) Send(m any) (more bool, err error) {
	parts, err := d.codec.Marshal(m)
	if err != nil {
		return false, status.Errorf(codes.Internal, "marshal a message: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended || d.Context().Err() != nil {
		return false, status.Error(codes.Canceled, "stream is over")
	}
	d.queue = append(d.queue, encoded{parts})
	d.starved = len(d.queue) >= maxQueued
	d.signal()
	return !d.starved, nil
}

// End implements plugin.Detached.
func (d *detachable) End(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended, d.status = true, err
		d.signal()
	}
}

func (d *detachable) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// tell calls the receiver, once at a time.
func (d *detachable) tell(f func()) {
	d.tells.Lock()
	defer d.tells.Unlock()
	f()
}

// send sends what is queued until the end of the stream, and returns its status.
func (d *detachable) send() error {
	for {
		m, found, over := d.next()
		switch {
		case found:
			if err := d.SendMsg(m); err != nil {
				return err //nolint:wrapcheck // a status
			}
		case over:
			return d.status
		default:
			select {
			case <-d.wake:
			case <-d.Context().Done():
				return status.FromContextError(d.Context().Err()).Err() //nolint:wrapcheck // a status
			}
		}
	}
}

// next takes the first message of the queue; over: there is none, and will be none.
func (d *detachable) next() (m encoded, found, over bool) {
	d.mu.Lock()
	if len(d.queue) > 0 {
		m = d.queue[0]
		d.queue = d.queue[1:]
		d.mu.Unlock()
		return m, true, false
	}
	over, starved := d.ended, d.starved
	d.starved = false
	d.mu.Unlock()
	if starved && !over {
		d.tell(d.receiver.Writable)
	}
	return m, false, over
}

// receive tells what comes.
func (d *detachable) receive() {
	for {
		m := new(later)
		if d.RecvMsg(m) != nil {
			d.tell(d.receiver.Over)
			return
		}
		d.mu.Lock()
		ended := d.ended
		d.mu.Unlock()
		if ended {
			continue
		}
		d.tell(func() {
			if err := d.receiver.Receive(func(v any) error { return d.decode(m, v) }); err != nil {
				d.End(err)
			}
		})
	}
}

func (d *detachable) decode(m *later, v any) error {
	if err := d.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(m.data)}, v); err != nil {
		return status.Errorf(codes.Internal, "unmarshal a message: %v", err)
	}
	return nil
}

// later is a message that came and is not read yet; encoded is one that was written
// already.
type (
	later   struct{ data []byte }
	encoded struct{ parts mem.BufferSlice }
)

// passing is a codec that leaves messages of detached streams as they are.
type passing struct{ encoding.CodecV2 }

// passCodec makes one of a codec; nil is that of protobuf.
func passCodec(c encoding.CodecV2) passing {
	if c == nil {
		c = encoding.GetCodecV2(proto.Name)
	}
	return passing{c}
}

// Marshal implements encoding.CodecV2.
func (p passing) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(encoded); ok {
		return e.parts, nil
	}
	return p.CodecV2.Marshal(v) //nolint:wrapcheck // the codec's own
}

// Unmarshal implements encoding.CodecV2.
func (p passing) Unmarshal(data mem.BufferSlice, v any) error {
	if l, ok := v.(*later); ok {
		l.data = data.Materialize()
		return nil
	}
	return p.CodecV2.Unmarshal(data, v) //nolint:wrapcheck // the codec's own
}
