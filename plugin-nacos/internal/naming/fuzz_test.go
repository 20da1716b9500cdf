package naming

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// FUZ-13: a grouped name comes apart the way it was put together, and a key never
// has a blank part but the service.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "@@", "G@@s", "@@s", "G@@", "a@@b@@c", "@", "服务@@组", "G@@@s", "\x00@@\xff"} {
		f.Add("public", "G", s)
		f.Add("", "", s)
	}
	f.Fuzz(func(t *testing.T, namespace, group, service string) {
		k := Key(namespace, group, service)
		if k.Namespace == "" || k.Group == "" {
			t.Errorf("Key(%q, %q, %q) = %v, want no blank part", namespace, group, service, k)
		}
		if g, s, ok := Split(service); ok {
			if strings.Contains(g, Separator) || g+Separator+s != service {
				t.Errorf("Split(%q) = %q, %q", service, g, s)
			}
			if group == "" && (k.Group != g || k.Name != s) {
				t.Errorf("Key(%q, %q, %q) = %v, want %q and %q", namespace, group, service, k, g, s)
			}
		} else if k.Name != service {
			t.Errorf("Key(%q, %q, %q) = %v, want the service as it is", namespace, group, service, k)
		}
		if CheckFormat(&Names{Group: k.Group, Service: k.Name}) != nil || k.Name == "" {
			return
		}
		// What passes the check is found again by its grouped name.
		if again := Key(k.Namespace, "", Grouped(k)); again != k {
			t.Errorf("Key of %q = %v, want %v", Grouped(k), again, k)
		}
	})
}

// FUZ-13: an id of a client without a connection comes apart the way it was put
// together; that of an instance holds its parts.
func FuzzID(f *testing.F) {
	for _, s := range []string{"", "#", "#true", "1.2.3.4:80#true", "1.2.3.4:80#false", "::1:80#true", ":80#true", "a:70000#true", "a:-1#false", "a#b:80#true", "1700000000000_10.0.0.1_80"} {
		f.Add(s, uint16(80))
	}
	f.Fuzz(func(t *testing.T, s string, port uint16) {
		ip, p, ephemeral, ok := ParseClient(s)
		if ok {
			again := persistentScope(ip, p)
			if ephemeral {
				again = Address(ip, p).ID
			}
			if ip2, p2, e2, ok2 := ParseClient(again); !ok2 || ip2 != ip || p2 != p || e2 != ephemeral {
				t.Errorf("ParseClient(%q) = %q, %d, %t, %t", again, ip2, p2, e2, ok2)
			}
		}
		if s == "" {
			return
		}
		for _, want := range []bool{true, false} {
			id := persistentScope(s, port)
			if want {
				id = Address(s, port).ID
			}
			if ip, p, e, ok := ParseClient(id); !ok || ip != s || p != port || e != want {
				t.Errorf("ParseClient(%q) = %q, %d, %t, %t, want %q and %d", id, ip, p, e, ok, s, port)
			}
		}
		k := registry.ServiceKey{Namespace: "n", Group: "g", Name: s}
		one := at(s, port, in(s))
		v := bare().viewOf(&one)
		id := v.id(k, &one)
		if !strings.HasPrefix(id, s+"#") || !strings.HasSuffix(id, "#g@@"+s) {
			t.Errorf("instance id = %q, want the parts %q and %d", id, s, port)
		}
		var h host
		if err := json.Unmarshal(bare().Choose(&registry.Snapshot{Key: k, Endpoints: []registry.Endpoint{one}}, Query{Key: k}).Hosts(), &[]*host{&h}); err != nil {
			t.Errorf("instance of %q: %v", s, err)
		}
	})
}
