package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

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
		return serveEtcd(ctx, o.addr, o.dir)
	}
	return fmt.Errorf("no ceiling %q", o.ceiling)
}

// serveHTTP answers a GET with 200 bytes and a POST, after parsing its form,
// with a word.
func serveHTTP(ctx context.Context, addr string) error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	body := []byte(strings.Repeat("x", 200))
	e.GET("/static", func(c echo.Context) error { return c.Blob(http.StatusOK, "text/plain", body) })
	e.POST("/nacos/v1/cs/configs", func(c echo.Context) error {
		return c.String(http.StatusOK, c.FormValue("group"))
	})
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	if err := e.Start(addr); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// echoService answers each call with its own bytes.
var echoService = grpc.ServiceDesc{
	ServiceName: "Request",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "request",
		Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := new(wrapperspb.BytesValue)
			return m, dec(m)
		},
	}},
}

func serveGRPC(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&echoService, nil)
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(l)
}

func serveEtcd(ctx context.Context, addr, dir string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	c := embed.NewConfig()
	c.QuotaBackendBytes = 8 << 30 // five minutes of puts fill the default
	c.Dir, c.LogLevel = filepath.Join(dir, "etcd"), "error"
	client := url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	if p, err := freePort(); err == nil {
		peer.Host = fmt.Sprintf("127.0.0.1:%d", p)
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
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
