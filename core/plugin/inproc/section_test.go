package inproc

import (
	"errors"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/plugin"
)

type settings struct {
	Workers int           `koanf:"workers"`
	Wait    time.Duration `koanf:"wait"`
	Names   []string      `koanf:"names"`
	Push    struct {
		Retries int  `koanf:"retries"`
		On      bool `koanf:"on"`
	} `koanf:"push"`
}

func (s *settings) Validate() error {
	var errs []error
	if s.Workers < 1 {
		errs = append(errs, errors.New("workers: must be positive"))
	}
	if s.Wait < 0 {
		errs = append(errs, errors.New("wait: must not be negative"))
	}
	return errors.Join(errs...)
}

func defaults() plugin.Config { return &settings{Workers: 4, Wait: time.Second} }

// STY-21, STY-22, ARC-P09: defaults stay, values are converted, everything wrong
// is told at once.
func TestSectionDecode(t *testing.T) {
	near := func(string, []string) string { return "push.retries" }
	tests := map[string]struct {
		values  map[string]any
		nearest func(string, []string) string
		want    func(s *settings)
		err     string
	}{
		"nothing":          {want: func(*settings) {}},
		"values":           {values: map[string]any{"workers": 2, "wait": "5ms"}, want: func(s *settings) { s.Workers, s.Wait = 2, 5*time.Millisecond }},
		"texts":            {values: map[string]any{"workers": "3", "push": map[string]any{"on": "true"}}, want: func(s *settings) { s.Workers, s.Push.On = 3, true }},
		"zero is a value":  {values: map[string]any{"wait": "0s"}, want: func(s *settings) { s.Wait = 0 }},
		"unknown":          {values: map[string]any{"worker": 2}, err: "plugins.x.worker: unknown key"},
		"unknown, nested":  {values: map[string]any{"push": map[string]any{"retry": 2}}, nearest: near, err: "plugins.x.push.retry: unknown key, did you mean push.retries?"},
		"all problems":     {values: map[string]any{"workers": 0, "wait": "-1s", "no": 1}, err: "plugins.x.no: unknown key\nplugins.x.workers: must be positive\nplugins.x.wait: must not be negative"},
		"no duration":      {values: map[string]any{"wait": "soon"}, err: `plugins.x: 'wait' time: invalid duration`},
		"two of one wrong": {values: map[string]any{"push": map[string]any{"retries": "x", "on": "y"}}, err: "plugins.x: 'push.retries' cannot parse value as 'int': strconv.ParseInt: invalid syntax\nplugins.x: 'push.on' cannot parse value as 'bool': strconv.ParseBool: invalid syntax"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Section{Path: "plugins.x", Values: tt.values, Nearest: tt.nearest}.Decode(defaults)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("Decode() = %v, want %s", err, tt.err)
				}
				return
			}
			want := defaults().(*settings)
			tt.want(want)
			if s, ok := got.(*settings); err != nil || !ok || s.Workers != want.Workers || s.Wait != want.Wait || s.Push != want.Push {
				t.Errorf("Decode() = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestSectionWithoutSettings(t *testing.T) {
	if c, err := (Section{Path: "plugins.x"}).Decode(nil); c != nil || err != nil {
		t.Errorf("Decode(nil) = %v, %v, want nothing", c, err)
	}
	_, err := Section{Path: "plugins.x", Values: map[string]any{"a": 1}}.Decode(nil)
	if err == nil || err.Error() != "plugins.x: this plugin has no settings of its own" {
		t.Errorf("Decode(nil) = %v, want a refusal", err)
	}
}
