package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serveCeiling is the child process behind one ceiling.
func serveCeiling(ctx context.Context, o options) error {
	switch o.ceiling {
	case "http":
		return serveHTTP(ctx, o.addr)
	case "grpc":
		return serveGRPC(ctx, o.addr)
	case "etcd":
		return serveEtcd(ctx, o)
	}
	return fmt.Errorf("no ceiling %q", o.ceiling)
}

// serveHTTP answers a GET with 200 bytes and a POST, after parsing its form,
// with a word; encodes a list of instances for each request; and parks requests
// until it is told to answer them all.
func serveHTTP(ctx context.Context, addr string) error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	body := []byte(strings.Repeat("x", 200))
	e.GET("/static", func(c echo.Context) error { return c.Blob(http.StatusOK, "text/plain", body) })
	form := func(c echo.Context) error { return c.String(http.StatusOK, c.FormValue("ip")) }
	e.POST("/nacos/v1/cs/configs", func(c echo.Context) error { return c.String(http.StatusOK, c.FormValue("group")) })
	e.POST("/nacos/v1/ns/instance", form)
	e.PUT("/nacos/v1/ns/instance/beat", form)
	list := referenceList(1000)
	e.GET("/reflect", func(c echo.Context) error {
		b, err := json.Marshal(list)
		if err != nil {
			return err
		}
		c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(b))) // in one piece
		return c.JSONBlob(http.StatusOK, b)
	})
	park, fire := parking()
	e.POST("/nacos/v1/cs/configs/listener", park)
	e.GET("/fire", fire)
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	if err := e.Start(addr); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// parking makes a handler whose requests wait, and one that ends the wait of all.
func parking() (park, fire echo.HandlerFunc) {
	var mu sync.Mutex // guards open
	open := make(chan struct{})
	park = func(c echo.Context) error {
		word := c.FormValue("Listening-Configs")
		mu.Lock()
		wait := open
		mu.Unlock()
		select {
		case <-wait:
			return c.String(http.StatusOK, word)
		case <-c.Request().Context().Done():
			return nil
		}
	}
	fire = func(c echo.Context) error {
		mu.Lock()
		close(open)
		open = make(chan struct{})
		mu.Unlock()
		return c.String(http.StatusOK, "ok")
	}
	return park, fire
}

type value = wrapperspb.BytesValue

// unary makes a handler of a function.
func unary(name string, f func(*value) *value) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := new(value)
		if err := dec(m); err != nil {
			return nil, err
		}
		return f(m), nil
	}}
}

// bareServer answers each call with its own bytes, or with a body of 1,000
// instances when it asks for one, and sends a message to all streams on demand.
type bareServer struct {
	list []byte

	mu      sync.Mutex // guards streams
	streams map[grpc.ServerStream]struct{}
}

// wantList is the request for the long body.
const wantList = "list"

func (s *bareServer) call(m *value) *value {
	if string(m.GetValue()) == wantList {
		return wrapperspb.Bytes(s.list)
	}
	return m
}

// fire sends the request to all streams, from as many goroutines as there are
// processors.
func (s *bareServer) fire(m *value) *value {
	var wg sync.WaitGroup
	work := make(chan grpc.ServerStream, 64)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for st := range work {
				_ = st.SendMsg(m)
			}
		})
	}
	s.mu.Lock()
	for st := range s.streams {
		work <- st
	}
	s.mu.Unlock()
	close(work)
	wg.Wait()
	return m
}

// stream greets, then reads whatever comes.
func (s *bareServer) stream(_ any, st grpc.ServerStream) error {
	m := new(value)
	for first := true; ; first = false {
		if err := st.RecvMsg(m); err != nil {
			return nil
		}
		if !first {
			continue
		}
		if err := st.SendMsg(m); err != nil {
			return nil
		}
		s.mu.Lock()
		s.streams[st] = struct{}{}
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.streams, st)
		}()
	}
}

func serveGRPC(ctx context.Context, addr string) error {
	// Without probes: thousands at one time overflow the queue of the loopback
	// device, and grpc-go takes one that is not answered for the end.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	b := &bareServer{list: referenceBody(1000), streams: map[grpc.ServerStream]struct{}{}}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "Request", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		unary("request", b.call), unary("fire", b.fire),
	}}, nil)
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "BiRequestStream", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{
		{StreamName: "requestBiStream", Handler: b.stream, ServerStreams: true, ClientStreams: true},
	}}, nil)
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(l)
}

// serveEtcd is one member, alone or one of several.
func serveEtcd(ctx context.Context, o options) error {
	_, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return err
	}
	c := embed.NewConfig()
	c.QuotaBackendBytes = 8 << 30 // five minutes of puts fill the default
	c.Dir, c.LogLevel = filepath.Join(o.dir, "etcd"), "error"
	client := url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	if p, err := freePort(); err == nil {
		peer.Host = fmt.Sprintf("127.0.0.1:%d", p)
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	if o.cluster != "" {
		u, err := etcdPeer(o.name, o.cluster)
		if err != nil {
			return err
		}
		c.Name, c.InitialCluster = o.name, o.cluster
		c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*u}, []url.URL{*u}
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer e.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return err
	}
}
