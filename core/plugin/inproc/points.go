package inproc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
)

const (
	maxCallBody = 12 << 20
	maxCalls    = 256 // at once per contributor and point
)

// Points connects the providers and contributors of one server (CTR-E01..E05).
// It owns no goroutine.
type Points struct {
	points map[string]*point
}

type point struct {
	version int
	keys    map[string]*contributor
	by      map[string]*contributor // by plugin

	mu      sync.Mutex // guards open and streams
	open    map[string]plugin.Event
	streams map[*events]struct{}
}

type contributor struct {
	plugin string
	handle func(context.Context, plugin.Call) (plugin.Reply, error)
	slots  chan struct{} // capacity maxCalls: bounds the calls at once
}

// Connect matches what manifests offer and extend; the error lists every
// conflict with both sides.
func Connect(manifests []plugin.Manifest) (*Points, error) {
	ps := &Points{points: map[string]*point{}}
	offered := map[string]string{}
	var errs []error
	for _, m := range manifests {
		for name, version := range m.Offers {
			if by, taken := offered[name]; taken {
				errs = append(errs, fmt.Errorf("extension point %s: offered by %s and by %s", name, by, m.Name))
				continue
			}
			offered[name] = m.Name
			ps.points[name] = &point{
				version: version, keys: map[string]*contributor{}, by: map[string]*contributor{},
				open: map[string]plugin.Event{}, streams: map[*events]struct{}{},
			}
		}
	}
	for _, m := range manifests {
		for _, x := range m.Extends {
			errs = append(errs, ps.extend(m.Name, x, offered[x.Point]))
		}
	}
	return ps, errors.Join(errs...)
}

// extend connects one contribution; a point that nobody offers is no error.
func (ps *Points) extend(name string, x plugin.Extension, provider string) error {
	p := ps.points[x.Point]
	if p == nil {
		return nil
	}
	if p.version != x.Version {
		return fmt.Errorf("extension point %s: %s offers version %d, %s needs %d", x.Point, provider, p.version, name, x.Version)
	}
	c := &contributor{plugin: name, slots: make(chan struct{}, maxCalls)}
	p.by[name] = c
	for _, k := range x.Keys {
		if other := p.keys[k]; other != nil {
			return fmt.Errorf("extension point %s: key %s is taken by %s and by %s", x.Point, k, other.plugin, name)
		}
		p.keys[k] = c
	}
	return nil
}

// Extend implements plugin.Points.
func (h *Host) Extend(name string, handle func(context.Context, plugin.Call) (plugin.Reply, error)) {
	declared := slices.ContainsFunc(h.settings.Manifest.Extends, func(x plugin.Extension) bool { return x.Point == name })
	h.must(declared, "extension point %s: not declared", name)
	if p := h.settings.Points.points[name]; p != nil {
		p.by[h.settings.Manifest.Name].handle = handle
	}
}

// offers returns a point that this plugin offers.
func (h *Host) offers(name string) (*point, error) {
	if _, ok := h.settings.Manifest.Offers[name]; !ok {
		return nil, fmt.Errorf("extension point %s: not offered by %s", name, h.settings.Manifest.Name)
	}
	return h.settings.Points.points[name], nil
}

// Keys implements plugin.Points.
func (h *Host) Keys(_ context.Context, name string) ([]string, error) {
	p, err := h.offers(name)
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(p.keys))
	for k := range p.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys, nil
}

// Call implements plugin.Points.
func (h *Host) Call(ctx context.Context, name string, c plugin.Call) (reply plugin.Reply, err error) {
	p, err := h.offers(name)
	if err != nil {
		return reply, err
	}
	to := p.keys[c.Key]
	if to == nil || to.handle == nil {
		return reply, fmt.Errorf("extension point %s: key %s: %w", name, c.Key, kv.ErrNotFound)
	}
	if len(c.Body) > maxCallBody {
		return reply, fmt.Errorf("extension point %s: %w", name, kv.ErrTooLarge)
	}
	select {
	case to.slots <- struct{}{}:
		defer func() { <-to.slots }()
	default:
		return reply, fmt.Errorf("extension point %s: %w", name, kv.ErrOverloaded)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("extension point %s: %s panicked: %v: %w", name, to.plugin, r, kv.ErrUncertain)
		}
	}()
	reply, err = to.handle(ctx, c)
	if err == nil && len(reply.Body) > maxCallBody {
		err = fmt.Errorf("extension point %s: reply: %w", name, kv.ErrTooLarge)
	}
	return reply, err
}

// Emit implements plugin.Points.
func (h *Host) Emit(_ context.Context, name string, es []plugin.Event) error {
	p, err := h.offers(name)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range es {
		if e.Open {
			p.open[e.Conn] = e
		} else {
			delete(p.open, e.Conn)
		}
		for s := range p.streams {
			s.note(e)
		}
	}
	return nil
}

// Events implements plugin.Points.
func (h *Host) Events(_ context.Context, name string) (plugin.Events, error) {
	p := h.settings.Points.points[name]
	if p == nil {
		return nil, fmt.Errorf("extension point %s: %w", name, kv.ErrNotFound)
	}
	s := &events{point: p, pending: map[string]plugin.Event{}, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.open {
		s.note(e)
	}
	p.streams[s] = struct{}{}
	return s, nil
}

// events is one contributor's stream: the newest state of each connection that
// changed since the last Next.
type events struct {
	point   *point
	pending map[string]plugin.Event // guarded by point.mu
	wake    chan struct{}           // capacity 1: there is something
	closed  chan struct{}
	once    sync.Once
}

// note is called with the lock of the point.
func (s *events) note(e plugin.Event) {
	s.pending[e.Conn] = e
	select {
	case s.wake <- struct{}{}:
	default: // woken already
	}
}

// Next implements plugin.Events.
func (s *events) Next(ctx context.Context) ([]plugin.Event, error) {
	for {
		select {
		case <-s.closed:
			return nil, kv.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.wake:
		}
		select {
		case <-s.closed: // it wins over what is pending
			return nil, kv.ErrClosed
		default:
		}
		s.point.mu.Lock()
		out := make([]plugin.Event, 0, len(s.pending))
		for _, e := range s.pending {
			out = append(out, e)
		}
		clear(s.pending)
		s.point.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
	}
}

// Close implements plugin.Events.
func (s *events) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.point.mu.Lock()
		defer s.point.mu.Unlock()
		delete(s.point.streams, s)
	})
	return nil
}
