package inproc_test

import (
	"net"
	"testing"

	"google.golang.org/grpc"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/core/plugin/inproc"
	"github.com/easynet-cn/batata/core/plugin/plugintest"
)

func TestDetach(t *testing.T) {
	plugintest.Detach(t, func(t *testing.T, desc *grpc.ServiceDesc) string {
		t.Helper()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(inproc.ServerOptions(plugin.RPC{})...)
		server.RegisterService(desc, nil)
		over := make(chan struct{})
		go func() { defer close(over); _ = server.Serve(l) }()
		t.Cleanup(func() { server.Stop(); <-over })
		return l.Addr().String()
	})
}
