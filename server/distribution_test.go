package server

import (
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin/inproc"
	nacos "github.com/easynet-cn/batata/plugin-nacos"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// STY-22: the defaults that the documented file shows are those of the plugin.
func TestDefaultsAgree(t *testing.T) {
	m := nacos.Plugin().Manifest()
	var flags []string
	for _, k := range conf.Keys() {
		if k.Plugin != "" {
			flags = append(flags, k.Name+"="+k.Default)
		}
	}
	v, err := conf.Load(conf.Source{Dir: t.TempDir(), Flags: flags})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	section := v.Plugins[m.Name]
	mounts := section["mounts"].(map[string]any)["api"].(map[string]any)
	if got, want := mounts["prefixes"], m.Mounts[0].Prefixes[0]; got != want {
		t.Errorf("context path = %v, want %v", got, want)
	}
	delete(section, "mounts")
	got, err := inproc.Section{Path: m.Name, Values: section}.Decode(m.Config)
	if err != nil {
		t.Fatalf("Decode() = %v", err)
	}
	if want := m.Config(); !reflect.DeepEqual(got, want) {
		t.Errorf("defaults of the keys = %+v, want those of the plugin %+v", got, want)
	}
}

// NAD-AUTH-70: no operator makes stored passwords cheap to guess.
func TestPasswordCost(t *testing.T) {
	v, err := conf.Load(conf.Source{Dir: t.TempDir(), DataDir: t.TempDir()})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	c, err := configOf(t.Context(), v, zap.NewNop())
	if err != nil || c.Core.Auth.PasswordCost != 0 {
		t.Errorf("configOf() = cost of passwords %d, %v, want 0, that of core", c.Core.Auth.PasswordCost, err)
	}
	for _, k := range conf.Keys() {
		if strings.Contains(k.Name, "cost") {
			t.Errorf("key %s: want none for the cost of passwords", k.Name)
		}
	}
}

// PRD-03, ARC-P12: what an operator of the reference writes moves the whole API.
func TestContextPath(t *testing.T) {
	v, err := conf.Load(conf.Source{Dir: t.TempDir(), Flags: []string{"nacos.server.contextPath=/own/"}, DataDir: t.TempDir()})
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	c, err := configOf(t.Context(), v, zap.NewNop())
	if err != nil {
		t.Fatalf("configOf() = %v", err)
	}
	c.Bind, c.Port, c.Confined, c.Drain = "127.0.0.1", -1, "", 0
	s := start(t, c, nacos.Plugin())
	const probe = "/v1/console/health/liveness"
	if code, body := get(t, "http://"+s.main()+"/own"+probe); code != 200 {
		t.Errorf("GET /own%s = %d %s, want 200", probe, code, body)
	}
	wantAnswer(t, s, "/nacos"+probe, 404, "404 page not found")
	wantAnswer(t, s, "/nacos/actuator/health", 200, `{"status":"UP"}`)
}
