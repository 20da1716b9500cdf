package distro

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/kv"
)

// Transport reaches the other members.
type Transport interface {
	// Members are all of the cluster, this one included.
	Members() []Member
	// Call reaches Handle of another member, in one attempt.
	Call(ctx context.Context, to uint64, method string, body []byte) ([]byte, error)
}

// The methods of members.
const (
	// MethodState carries what members tell each other.
	MethodState = "distro.state"
	// MethodWrite carries writes for publishers of another member.
	MethodWrite = "distro.write"
)

const (
	batch     = 20 * time.Millisecond  // in which changes gather
	tickEvery = 200 * time.Millisecond // of what time asks for
	sendLimit = 10 * time.Second       // for one message
	sendPause = 200 * time.Millisecond // after one was lost
	callLimit = 2 * time.Second        // for one write (NAD-CLU-22)
)

// Options wire an Engine; all but KeepFor, Logger and Meters are required.
type Options struct {
	Member    uint64
	Epoch     uint64 // starts of the member
	Catalog   *catalog.Engine
	Transport Transport
	KeepFor   time.Duration // see Settings
	Logger    *zap.Logger
	Meters    prometheus.Registerer
}

// Engine replicates the ephemeral part of the registry.
type Engine struct {
	o       Options
	state   *state
	meters  *meters
	ctx     context.Context // of everything in the background
	cancel  context.CancelFunc
	senders map[uint64]*sender // only keep uses it
	wake    chan struct{}      // capacity 1: there may be something to send
	lanes   lanes
	wg      sync.WaitGroup
	once    sync.Once
}

// New returns an engine that does nothing yet.
func New(o Options) *Engine {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	e := &Engine{o: o, senders: map[uint64]*sender{}, wake: make(chan struct{}, 1)}
	e.state = newState(Settings{
		Member: o.Member, Epoch: o.Epoch, KeepFor: o.KeepFor, Logger: o.Logger,
		Clock: func() uint64 { return uint64(max(1, time.Now().UnixMilli())) },
	}, o.Catalog)
	e.meters = newMeters(e.state, o.Meters)
	e.state.settings.Meters = e.meters
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Start begins to replicate.
func (e *Engine) Start() {
	e.state.tick(time.Now(), e.o.Transport.Members())
	e.wg.Go(e.keep)
}

// Leave ends replication for good, before the clients of this member are cut off:
// the other members keep what they registered until they are back elsewhere.
func (e *Engine) Leave() { e.state.leave() }

// Shutdown ends the goroutines. It is idempotent.
func (e *Engine) Shutdown() {
	e.once.Do(func() {
		e.state.leave()
		e.cancel()
		e.lanes.close()
		e.wg.Wait()
	})
}

// Synced says whether everything that others know has been read (CTR-R09).
func (e *Engine) Synced() bool {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	return e.state.synced
}

// WaitSynced waits until it is Synced: until ctx ends, or the engine.
func (e *Engine) WaitSynced(ctx context.Context) error {
	select {
	case <-e.state.ready:
		return nil
	case <-e.ctx.Done():
		return kv.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("read services of the other members: %w", ctx.Err())
	}
}

// keep lets time pass, and follows the members.
func (e *Engine) keep() {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	gather := time.NewTimer(batch)
	gather.Stop()
	defer gather.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-e.state.pending.kick:
			gather.Reset(batch)
			continue
		case <-gather.C:
		case <-e.wake:
		case now := <-tick.C:
			members := e.o.Transport.Members()
			e.state.tick(now, members)
			e.follow(members)
		}
		for _, s := range e.senders {
			s.rouse()
		}
	}
}

// follow has one sender for each other member.
func (e *Engine) follow(members []Member) {
	present := make(map[uint64]bool, len(members))
	for _, m := range members {
		present[m.ID] = true
		if m.ID == e.o.Member || e.senders[m.ID] != nil {
			continue
		}
		s := &sender{engine: e, to: m.ID, wake: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(e.ctx)
		s.cancel = cancel
		e.senders[m.ID] = s
		e.wg.Go(func() { s.run(ctx) })
	}
	for id, s := range e.senders {
		if !present[id] {
			s.cancel()
			delete(e.senders, id)
		}
	}
}

// rouse lets the senders look for something to send.
func (e *Engine) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Handle answers another member.
func (e *Engine) Handle(ctx context.Context, from uint64, method string, body []byte) ([]byte, error) {
	switch method {
	case MethodState:
		var m peerv1.DistroMessage
		if err := proto.Unmarshal(body, &m); err != nil {
			return nil, fmt.Errorf("message: %w", err)
		}
		if err := e.state.receive(from, &m, time.Now()); err != nil {
			return nil, err
		}
		e.rouse()
		return nil, nil
	case MethodWrite:
		return e.write(ctx, from, body)
	}
	return nil, fmt.Errorf("method %s: %w", method, kv.ErrNotFound)
}

// sender tells one other member what there is to tell.
type sender struct {
	engine *Engine
	to     uint64
	wake   chan struct{} // capacity 1
	cancel context.CancelFunc
}

func (s *sender) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sender) run(ctx context.Context) {
	pause := time.NewTimer(sendPause)
	defer pause.Stop()
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		for s.send(ctx) {
		}
		pause.Reset(batch)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// send sends one message; false: there is none, or it is lost.
func (s *sender) send(ctx context.Context) bool {
	st := s.engine.state
	o := st.next(s.to, time.Now())
	if o == nil {
		return false
	}
	body, err := proto.Marshal(o.message)
	if err == nil {
		part, cancel := context.WithTimeout(ctx, sendLimit)
		_, err = s.engine.o.Transport.Call(part, s.to, MethodState, body)
		cancel()
	}
	st.sent(s.to, o, err == nil, time.Now())
	if err == nil {
		return true
	}
	s.engine.o.Logger.Debug("state not told", zap.String("member", fmt.Sprintf("%016x", s.to)), zap.Error(err))
	rest(ctx, sendPause)
	return false
}

// rest waits for d or the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
