package conf

import (
	"encoding/base64"
	"strings"
	"testing"
)

// SEC-01: secrets that everybody knows, and short ones, are refused.
func TestTokenSecret(t *testing.T) {
	const key = "nacos.core.auth.plugin.nacos.token.secret.key="
	good := strings.Repeat("k", 32)
	tests := map[string]struct{ text, want string }{
		"good":            {base64.StdEncoding.EncodeToString([]byte(good)), ""},
		"without padding": {base64.RawStdEncoding.EncodeToString([]byte(good)), ""},
		"none":            {"", ""},
		"short":           {base64.StdEncoding.EncodeToString([]byte("short")), "want at least 32 bytes"},
		"not base64":      {"***", "not base64"},
		"manual":          {base64.StdEncoding.EncodeToString([]byte("SecretKey012345678901234567890123456789012345678901234567890123456789")), "published"},
		"manual, raw":     {"SecretKey012345678901234567890123456789012345678901234567890123456789", "published"},
		"docker sample":   {"VGhpc0lzTXlDdXN0b21TZWNyZXRLZXkwMTIzNDU2Nzg=", "published"},
		"document":        {"your-base64-encoded-secret-key", "published"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Load(Source{Dir: t.TempDir(), Flags: []string{key + tt.text}})
			if err != nil {
				t.Fatal(err)
			}
			secret, err := v.TokenSecret()
			if tt.want == "" {
				if err != nil || tt.text != "" && string(secret) != good {
					t.Errorf("TokenSecret() = %q, %v, want %q", secret, err, good)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.text != "" && strings.Contains(err.Error(), tt.text) {
				t.Errorf("TokenSecret() = %v, want %q and not the secret in it", err, tt.want)
			}
		})
	}
}

func TestCheckIdentity(t *testing.T) {
	v, err := Load(Source{Dir: t.TempDir(), Flags: []string{
		"nacos.core.auth.server.identity.key=serverIdentity", "nacos.core.auth.server.identity.value=security",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CheckIdentity(); err == nil {
		t.Error("CheckIdentity() of the published pair = nil")
	}
}
