package udppush

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/registry"
)

const (
	beat      = time.Second // how often is looked at what is late
	writeTime = time.Second // for a round of packets
)

// Serve reads acknowledgements until ctx ends. Packets are sent from the same
// socket: clients answer where they come from.
func (a *API) Serve(ctx context.Context, socket net.PacketConn) error {
	a.mu.Lock()
	a.socket = socket
	a.mu.Unlock()
	defer a.leaveAll()
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	next := time.Now().Add(beat)
	buffer := make([]byte, maxAck+1)
	for {
		if now := time.Now(); !now.Before(next) {
			a.sweep(ctx, now)
			next = now.Add(beat)
		}
		if err := socket.SetReadDeadline(next); err != nil {
			return ended(ctx, err)
		}
		n, from, err := socket.ReadFrom(buffer)
		switch {
		case err == nil:
			a.acknowledge(buffer[:n], from)
		case errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, net.ErrClosed):
			return ended(ctx, err)
		default: // some systems tell here what became of an earlier packet
			a.meters.strange.Inc()
			pause(ctx)
		}
	}
}

// pause keeps errors that come one after another from taking a whole core.
func pause(ctx context.Context) {
	const length = 10 * time.Millisecond
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ended is nothing when somebody wanted the end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return fmt.Errorf("socket of pushes: %w", err)
	}
	return nil
}

// leaveAll forgets everybody: nothing can be sent any more.
func (a *API) leaveAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.socket.Close()
	a.socket = nil
	for address, c := range a.clients {
		a.leave(address, c)
	}
}

// leave forgets a client; mu is held.
func (a *API) leave(address netip.AddrPort, c *client) {
	a.pusher.Leave(c)
	delete(a.clients, address)
	for _, s := range c.newest {
		delete(a.sent, s.receipt)
	}
	clear(c.newest)
}

// acknowledge notes what a client has.
func (a *API) acknowledge(datagram []byte, from net.Addr) {
	ref, ok := parseAck(datagram)
	at, isUDP := from.(*net.UDPAddr)
	if !ok || !isUDP {
		a.meters.strange.Inc()
		return
	}
	r := receipt{a.places.canonical(at.AddrPort()), ref}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sent[r]
	if s == nil {
		a.meters.strange.Inc()
		return
	}
	a.forget(s)
	a.meters.acks.Inc()
}

// forget ends the wait for an acknowledgement; mu is held.
func (a *API) forget(s *sent) {
	if a.sent[s.receipt] == s {
		delete(a.sent, s.receipt)
	}
	if s.client.newest[s.service] == s {
		delete(s.client.newest, s.service)
	}
}

// sweep makes packets again that were not acknowledged, and forgets clients that
// ask no more.
func (a *API) sweep(ctx context.Context, now time.Time) {
	type again struct {
		to      *client
		service registry.ServiceKey
	}
	var (
		repeat []again
		silent []*client
	)
	a.mu.Lock()
	for _, s := range a.sent {
		switch {
		case s.late || now.Sub(s.at) < a.settings.AckWithin:
		case s.last:
			a.forget(s) // NAC-UDP-06
			a.meters.lost.Inc()
		default:
			s.late = true
			repeat = append(repeat, again{s.client, s.service})
		}
	}
	for _, c := range a.clients {
		if now.Sub(c.seen) >= a.settings.Lifetime {
			silent = append(silent, c)
		}
	}
	a.mu.Unlock()
	for _, r := range repeat {
		a.pusher.Again(r.to, r.service)
	}
	for _, c := range silent {
		a.silent(ctx, c, now)
	}
}

// silent forgets a client that asks no more, unless it has published (NAC-NAM-53).
func (a *API) silent(ctx context.Context, c *client, now time.Time) {
	placed, err := a.settings.Naming.Published(ctx, c.id)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case now.Sub(c.seen) < a.settings.Lifetime: // it came back
	case err == nil && len(placed) > 0:
		c.seen = now
	case a.clients[c.address] == c:
		a.leave(c.address, c)
	}
}

// flush sends what a round of pushes has for clients.
func (a *API) flush(context.Context) {
	if len(a.outbox) == 0 {
		return
	}
	a.mu.Lock()
	socket := a.socket
	out := a.outbox[:0]
	now := time.Now()
	for _, o := range a.outbox {
		switch {
		case socket == nil || a.clients[o.to.address] != o.to: // it has left
		case len(o.packet.body) > o.to.room:
			a.meters.large.Inc()
			if old := o.to.newest[*o.service]; old != nil {
				a.forget(old) // of an older list
			}
		default:
			a.note(o, now)
			out = append(out, o)
		}
	}
	a.mu.Unlock()
	if socket != nil {
		_ = socket.SetWriteDeadline(now.Add(writeTime)) // a closed socket fails below
	}
	for _, o := range out {
		if _, err := socket.WriteTo(o.packet.body, net.UDPAddrFromAddrPort(o.to.address)); err != nil {
			a.meters.failed.Inc() // its acknowledgement will not come
			a.settings.Logger.Debug("packet not sent", zap.Stringer("to", o.to.address), zap.Error(err))
			continue
		}
		a.meters.pushes.Inc()
	}
	clear(a.outbox)
	a.outbox = a.outbox[:0]
}

// note waits for the acknowledgement of a packet, in place of that of an older
// list; mu is held.
func (a *API) note(o outgoing, now time.Time) {
	s := &sent{
		receipt: receipt{a.places.canonical(o.to.address), o.packet.ref},
		client:  o.to, service: *o.service, version: o.packet.version, at: now,
	}
	if old := o.to.newest[*o.service]; old != nil {
		s.last = old.version == s.version && (old.late || old.last)
		a.forget(old)
	}
	o.to.newest[*o.service] = s
	a.sent[s.receipt] = s
}
