package namingrpc_test

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
)

// BM-06 without the transport: a registration, and its end.
func BenchmarkRegister(b *testing.B) {
	r := newRig(b, authmap.Switches{}, quick())
	c := r.connect(b, "10.0.0.1")
	ctx := r.probe.Inside(c.Client)
	in := c.Payload("InstanceRequest", nil, []byte(`{"requestId":"","namespace":"public","serviceName":"s","groupName":"G","module":"naming","type":"registerInstance","instance":{"instanceId":"","ip":"10.1.1.1","port":80,"weight":1,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"","serviceName":"","metadata":{"a":"b","c":"d"},"instanceHeartBeatInterval":0,"ipDeleteTimeout":0,"instanceHeartBeatTimeOut":0}}`))
	out := c.Payload("InstanceRequest", nil, []byte(`{"requestId":"","namespace":"public","serviceName":"s","groupName":"G","module":"naming","type":"deregisterInstance","instance":{"ip":"10.1.1.1","port":80}}`))
	b.ReportAllocs()
	for b.Loop() {
		r.server.Call(ctx, in)
		r.server.Call(ctx, out)
	}
}

// BM-07 without the transport.
func BenchmarkQuery(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b, authmap.Switches{}, quick())
			c := r.connect(b, "10.0.0.1")
			instances := make([]any, n)
			for i := range instances {
				instances[i] = map[string]any{"ip": fmt.Sprintf("10.1.%d.%d", i/250, i%250), "port": 80, "metadata": map[string]string{"a": "b"}}
			}
			c.ask("BatchInstanceRequest", map[string]any{"type": "batchRegisterInstance", "serviceName": "s", "instances": instances})
			ctx := r.probe.Inside(c.Client)
			p := c.Payload("ServiceQueryRequest", nil, []byte(`{"namespace":"public","serviceName":"s","groupName":"G","cluster":"","healthyOnly":false,"udpPort":0,"module":"naming"}`))
			b.ReportAllocs()
			for b.Loop() {
				r.server.Call(ctx, p)
			}
		})
	}
}
