package nacos

import (
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/plugin"
)

// Config is the section plugins.nacos. The keys of the reference are mapped to
// it by the server.
type Config struct {
	Auth   AuthConfig   `koanf:"auth"`
	Config ConfigConfig `koanf:"config"`
	Naming NamingConfig `koanf:"naming"`
}

// AuthConfig says which planes need a login (NAC-AUT-11) and which header lets
// servers of the same operator pass (NAC-AUT-14).
type AuthConfig struct {
	Enabled        bool   `koanf:"enabled"`
	AdminEnabled   bool   `koanf:"admin_enabled"`
	ConsoleEnabled bool   `koanf:"console_enabled"`
	IdentityKey    string `koanf:"identity_key"`
	IdentityValue  string `koanf:"identity_value"`
}

// ConfigConfig bounds configs and their pushes.
type ConfigConfig struct {
	MaxGrays      int `koanf:"max_grays"`       // of one config
	PushTimeoutMS int `koanf:"push_timeout_ms"` // for one acknowledgement
	PushRetries   int `koanf:"push_retries"`    // unanswered pushes that end a connection
}

// NamingConfig bounds the pushes of services.
type NamingConfig struct {
	PushDelayMS      int  `koanf:"push_delay_ms"` // 0: adaptive
	PushTimeoutMS    int  `koanf:"push_timeout_ms"`
	PushRetryDelayMS int  `koanf:"push_retry_delay_ms"`
	WarmUpMS         int  `koanf:"warm_up_ms"`
	ExpireInstances  bool `koanf:"expire_instances"`
}

var (
	_ plugin.Config = (*Config)(nil)
	_ plugin.Opener = (*Config)(nil)
)

// defaults are those of the reference (nacos-admin.md 10).
func defaults() plugin.Config {
	return &Config{
		Auth:   AuthConfig{AdminEnabled: true, ConsoleEnabled: true},
		Config: ConfigConfig{MaxGrays: 10, PushTimeoutMS: 3000, PushRetries: 50},
		Naming: NamingConfig{PushTimeoutMS: 5000, PushRetryDelayMS: 1000, WarmUpMS: 5000, ExpireInstances: true},
	}
}

// Validate implements plugin.Config.
func (c *Config) Validate() error {
	var errs []error
	between := func(name string, value, low, high int) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("%s: want %d to %d, got %d", name, low, high, value))
		}
	}
	between("config.max_grays", c.Config.MaxGrays, 1, 1000)
	between("config.push_timeout_ms", c.Config.PushTimeoutMS, 100, 60_000)
	between("config.push_retries", c.Config.PushRetries, 1, 1000)
	between("naming.push_delay_ms", c.Naming.PushDelayMS, 0, 60_000)
	between("naming.push_timeout_ms", c.Naming.PushTimeoutMS, 100, 60_000)
	between("naming.push_retry_delay_ms", c.Naming.PushRetryDelayMS, 10, 60_000)
	between("naming.warm_up_ms", c.Naming.WarmUpMS, 0, 600_000)
	return errors.Join(errs...)
}

// Open implements plugin.Opener: each plane that is open keeps the listeners on
// loopback (PRD-05).
func (c *Config) Open() (bool, string) {
	switch {
	case !c.Auth.Enabled:
		return true, "nacos.core.auth.enabled"
	case !c.Auth.AdminEnabled:
		return true, "nacos.core.auth.admin.enabled"
	case !c.Auth.ConsoleEnabled:
		return true, "nacos.core.auth.console.enabled"
	}
	return false, ""
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }
