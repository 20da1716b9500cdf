package namingrpc

import (
	"slices"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
)

// NAC-NAM-02..07, NAC-SET-06: defaults, null, and numbers that come as texts.
func TestInstanceOf(t *testing.T) {
	plain := naming.NewInstance("10.0.0.1", 80)
	with := func(edit func(*naming.Instance)) naming.Instance {
		in := plain
		edit(&in)
		return in
	}
	for body, want := range map[string]naming.Instance{
		`{"ip":"10.0.0.1","port":80}`:                plain,
		`{"ip":"10.0.0.1","port":"80","weight":"1"}`: plain,
		`{"ip":"10.0.0.1","port":80,"weight":null,"healthy":null,"enabled":null,"clusterName":null,"metadata":null}`: plain,
		`{"ip":"10.0.0.1","port":80,"ephemeral":false,"unknown":[1]}`:                                                plain,
		`{"ip":"10.0.0.1"}`: with(func(in *naming.Instance) { in.Port = 0 }),
		`{"ip":"10.0.0.1","port":80,"weight":-1,"healthy":false,"enabled":false,"clusterName":"c1","instanceId":"mine"}`: with(func(in *naming.Instance) {
			in.Weight, in.Healthy, in.Enabled, in.Cluster, in.ID = -1, false, false, "c1", "mine"
		}),
		`{"ip":"10.0.0.1","port":80,"metadata":{"b":"2","a":"1","n":5,"x":null,"a":"3"}}`: with(func(in *naming.Instance) {
			in.Metadata = registry.Pairs{{Key: "a", Value: "3"}, {Key: "b", Value: "2"}, {Key: "n", Value: "5"}, {Key: "x", Value: ""}}
		}),
	} {
		b, _ := stream.ParseBody([]byte(body))
		got, err := instanceOf(b.Result)
		if err != nil || !got.Metadata.Equal(want.Metadata) {
			t.Errorf("instanceOf(%s) = %+v, %v, want %+v", body, got, err, want)
			continue
		}
		got.Metadata, want.Metadata = nil, nil
		if got.IP != want.IP || got.Port != want.Port || got.Weight != want.Weight || got.Healthy != want.Healthy ||
			got.Enabled != want.Enabled || got.Cluster != want.Cluster || got.ID != want.ID || got.NoID {
			t.Errorf("instanceOf(%s) = %+v, want %+v", body, got, want)
		}
	}
}

// FUZ-13: whatever a request holds, what is read from it passes the parameter
// check or is refused, metadata is sorted and without doubles, and numbers fit.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"instance":{"ip":"10.0.0.1","port":80,"metadata":{"a":"b"}}}`, `{"serviceName":"G@@s","groupName":"","namespace":null}`,
		`{"instances":[{"ip":"a","port":1},{"ip":"b","port":"2"}],"type":"batchRegisterInstance"}`, `{"instances":{"a":{"ip":"x"}}}`,
		`{"pageNo":-1,"pageSize":1e99}`, `{"instance":[],"instances":5,"subscribe":"true"}`, `{"instance":{"ip":"a","port":70000}}`,
		`{"instance":{"ip":"a","metadata":{"x":"1","x":"2","":null}}}`, `{"cluster":" c1 , c2 ","healthOnly":true}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, ok := stream.ParseBody(raw)
		if !ok {
			return
		}
		r := parse(b)
		if r.page < 0 || r.size < 0 || r.page > 1<<30 || r.size > 1<<30 {
			t.Errorf("page %d of %d, want bounded", r.page, r.size)
		}
		if k, err := r.key(); err == nil && (k.Name == "" || strings.Contains(k.Name, "@@")) {
			t.Errorf("key() = %v, want it refused", k)
		}
		ins, _ := r.theInstances()
		if in, err := r.theInstance(); err == nil {
			ins = append(ins, in)
		}
		for _, in := range ins {
			names := naming.Names{IP: in.IP, Cluster: in.Cluster, Metadata: in.Metadata}
			if err := naming.CheckFormat(&names); err != nil || in.IP == "" {
				t.Errorf("instance %+v was let through: %v", in, err)
			}
			if !slices.IsSortedFunc(in.Metadata, func(a, b registry.Pair) int { return strings.Compare(a.Key, b.Key) }) {
				t.Errorf("metadata %v is not sorted", in.Metadata)
			}
			for i := 1; i < len(in.Metadata); i++ {
				if in.Metadata[i].Key == in.Metadata[i-1].Key {
					t.Errorf("metadata %v has a double", in.Metadata)
				}
			}
		}
	})
}
