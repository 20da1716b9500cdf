package conf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// published are token secrets that stand in manuals and sample files: whoever
// uses one lets everybody in (SEC-01, CVE-N4, CVE-B1).
var published = []string{ //nolint:gochecknoglobals // a constant list
	"SecretKey012345678901234567890123456789012345678901234567890123456789",
	"ThisIsMyCustomSecretKey012345678",
	"ThisIsMyCustomSecretKey0123456789",
	"your-base64-encoded-secret-key",
}

// TokenSecret decodes the configured token secret; nil when none is configured.
// Samples and secrets below 32 bytes are refused.
func (v *Values) TokenSecret() ([]byte, error) {
	const key = "nacos.core.auth.plugin.nacos.token.secret.key"
	text := v.Text(key)
	if text == "" {
		return nil, nil
	}
	secret, err := decodeBase64(text)
	for _, p := range published {
		if text == p || string(secret) == p {
			return nil, fmt.Errorf("%s: this secret is published in a manual; make one with: openssl rand -base64 48", key)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: not base64", key)
	case len(secret) < minSecret:
		return nil, fmt.Errorf("%s: want at least %d bytes, got %d", key, minSecret, len(secret))
	}
	return secret, nil
}

// minSecret is the shortest token secret in bytes.
const minSecret = 32

// decodeBase64 takes the standard alphabet with or without padding.
func decodeBase64(text string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, errors.New("not base64")
	}
	return b, nil
}

// CheckIdentity refuses the published pairs of server identity (CVE-N5, CVE-B1).
func (v *Values) CheckIdentity() error {
	const key, value = "nacos.core.auth.server.identity.key", "nacos.core.auth.server.identity.value"
	pair := [2]string{v.Text(key), v.Text(value)}
	if slices.Contains([][2]string{
		{"serverIdentity", "security"},
		{"default-server-key", "default-server-value"},
	}, pair) {
		return fmt.Errorf("%s: this pair is published in a manual; choose your own", key)
	}
	return nil
}
