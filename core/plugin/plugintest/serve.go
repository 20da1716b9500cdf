package plugintest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
)

const anyPort = "127.0.0.1:0"

// serve opens every listener that the plugin registered something on.
func (s *Server) serve(ctx context.Context) error {
	names := map[string]bool{plugin.Main: true}
	for _, l := range s.manifest.Listeners {
		names[l.Name] = true
	}
	for name := range names {
		if err := errors.Join(s.serveHTTP(ctx, name), s.serveGRPC(ctx, name), s.serveOwn(ctx, name)); err != nil {
			return fmt.Errorf("listener %s: %w", name, err)
		}
	}
	return nil
}

// listen opens a socket that unserve closes.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", anyPort)
	if err == nil {
		s.sockets = append(s.sockets, l)
	}
	return l, err
}

func (s *Server) serveHTTP(ctx context.Context, name string) error {
	var mounts inproc.Mounts
	for _, m := range s.manifest.Mounts {
		handler := s.host.Handlers[m.Name]
		if m.Listener != name || handler == nil {
			continue
		}
		for _, prefix := range m.Prefixes {
			mounts.Add(prefix, handler)
		}
	}
	if mounts.Len() == 0 {
		return nil
	}
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.guard(&mounts), ReadHeaderTimeout: stopLimit}
	s.http[name], s.addrs[name] = server, l.Addr()
	s.group.Go(func() { _ = server.Serve(l) }) // ends in unserve
	return nil
}

// guard routes to mounts and notes a panic as a fault of the plugin.
func (s *Server) guard(mounts *inproc.Mounts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
				s.fault(fmt.Errorf("%s %s: handler panicked: %v\n%s", r.Method, r.URL.Path, p, debug.Stack()))
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		m := mounts.Find(r.URL.Path)
		if m == nil {
			http.NotFound(w, r)
			return
		}
		m.Handler.ServeHTTP(w, r)
	})
}

func (s *Server) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, err)
}

func (s *Server) serveGRPC(ctx context.Context, name string) error {
	var (
		options   []grpc.ServerOption
		registers []func(grpc.ServiceRegistrar)
	)
	for _, g := range s.host.GRPCs {
		if g.Listener == name {
			options, registers = append(options, inproc.ServerOptions(g.Options)...), append(registers, g.Register)
		}
	}
	if len(registers) == 0 {
		return nil
	}
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	for _, register := range registers {
		register(server)
	}
	s.grpc[name], s.rpcs[name] = server, l.Addr()
	s.group.Go(func() { _ = server.Serve(l) }) // ends in unserve
	return nil
}

// serveOwn runs a protocol of the plugin's own.
func (s *Server) serveOwn(ctx context.Context, name string) error {
	if run := s.host.Serves[name]; run != nil {
		l, err := s.listen(ctx)
		if err != nil {
			return err
		}
		s.addrs[name] = l.Addr()
		s.own(name, func() error { return run(s.serving, l) })
	}
	if run := s.host.Packets[name]; run != nil {
		var lc net.ListenConfig
		c, err := lc.ListenPacket(ctx, "udp", anyPort)
		if err != nil {
			return err
		}
		s.addrs[name] = c.LocalAddr()
		s.own(name, func() error {
			defer func() { _ = c.Close() }() // the plugin may have
			return run(s.serving, c)
		})
	}
	return nil
}

// own runs until unserve; ending before that is a fault.
func (s *Server) own(name string, run func() error) {
	s.group.Go(func() {
		if err := run(); s.serving.Err() == nil {
			s.fault(fmt.Errorf("listener %s: ended while it was needed: %w", name, err))
		}
	})
}

// graceful is how long requests may go on.
const graceful = 2 * time.Second

// unserve closes all listeners and waits for what serves them.
func (s *Server) unserve(ctx context.Context) error {
	s.stop()
	ctx, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	for _, h := range s.http {
		if h.Shutdown(ctx) != nil {
			_ = h.Close() // it is cut
		}
	}
	for _, g := range s.grpc {
		g.Stop()
	}
	for _, l := range s.sockets {
		_ = l.Close() // closed by its server, most likely
	}
	s.group.Wait()
	return nil
}
