package naming

import (
	"testing"

	"github.com/easynet-cn/batata/core/registry"
)

// Until all services were looked at each may be special; then those that are
// noted, until another look says that they are not.
func TestSpecial(t *testing.T) {
	var s special
	k := registry.ServiceKey{Name: "s"}
	if !s.is(k) {
		t.Error("is() before load = false, want true")
	}
	s.load()
	if s.is(k) {
		t.Error("is() of what was not noted = true")
	}
	s.note(k)
	s.forget(k, func() bool { return true })
	if !s.is(k) {
		t.Error("is() = false although it is special now")
	}
	asked := false
	s.forget(k, func() bool { return false })
	s.forget(k, func() bool { asked = true; return true })
	if s.is(k) || asked || len(s.keys) != 0 {
		t.Errorf("is() = %t, asked again %t, %d kept, want it forgotten", s.is(k), asked, len(s.keys))
	}
}
