package authz

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/easynet-cn/batata/core/auth"
)

const (
	h256 = "eyJhbGciOiJIUzI1NiJ9"
	h384 = "eyJhbGciOiJIUzM4NCJ9"
	h512 = "eyJhbGciOiJIUzUxMiJ9"
)

func clock(seconds int64) func() time.Time {
	return func() time.Time { return time.Unix(seconds, 0) }
}

// sign makes a token by hand from a header and a payload.
func sign(t *testing.T, method *jwt.SigningMethodHMAC, secret, header, payload string) string {
	t.Helper()
	text := header + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig, err := method.Sign(text, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// NAC-AUT-09, NAD-AUTH-52: the length of the secret chooses the algorithm, the
// header holds nothing else, the payload only subject and expiry.
func TestIssue(t *testing.T) {
	for length, header := range map[int]string{32: h256, 47: h256, 48: h384, 63: h384, 64: h512} {
		s := signer{secret: []byte(strings.Repeat("k", length)), now: clock(1000)}
		token, err := s.issue("alice", time.Minute)
		if err != nil {
			t.Fatalf("issue() = %v", err)
		}
		parts := strings.Split(token, ".")
		if parts[0] != header {
			t.Errorf("header with a secret of %d bytes = %s, want %s", length, parts[0], header)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || string(payload) != `{"exp":1060,"sub":"alice"}` {
			t.Errorf("payload = %s, %v, want only sub and exp", payload, err)
		}
		subject, expires, err := s.verify(token)
		if err != nil || subject != "alice" || expires.Unix() != 1060 {
			t.Errorf("verify(issue()) = %s, %v, %v, want alice, 1060", subject, expires, err)
		}
	}
}

// NAC-AUT-09, SEC-05: what verify takes and what it refuses.
func TestVerify(t *testing.T) {
	secret := strings.Repeat("k", 40)
	good := `{"sub":"alice","exp":1000}`
	hs := jwt.SigningMethodHS256
	tests := map[string]struct {
		token string
		want  error
	}{
		"good":                  {sign(t, hs, secret, h256, good), nil},
		"other algorithm":       {sign(t, jwt.SigningMethodHS512, secret, h512, good), nil},
		"extra claim":           {sign(t, hs, secret, h256, `{"sub":"alice","exp":1000,"x":1}`), nil},
		"expiry as text":        {sign(t, hs, secret, h256, `{"sub":"alice","exp":"1000"}`), nil},
		"expiry as fraction":    {sign(t, hs, secret, h256, `{"sub":"alice","exp":1000.7}`), nil},
		"expired":               {sign(t, hs, secret, h256, `{"sub":"alice","exp":999}`), auth.ErrTokenExpired},
		"no expiry":             {sign(t, hs, secret, h256, `{"sub":"alice"}`), auth.ErrTokenInvalid},
		"no subject":            {sign(t, hs, secret, h256, `{"exp":1000}`), auth.ErrTokenInvalid},
		"huge expiry":           {sign(t, hs, secret, h256, `{"sub":"alice","exp":1e300}`), auth.ErrTokenInvalid},
		"negative expiry":       {sign(t, hs, secret, h256, `{"sub":"alice","exp":-1}`), auth.ErrTokenInvalid},
		"no JSON":               {sign(t, hs, secret, h256, `x`), auth.ErrTokenInvalid},
		"other secret":          {sign(t, hs, strings.Repeat("x", 40), h256, good), auth.ErrTokenSignature},
		"algorithm and header":  {sign(t, jwt.SigningMethodHS512, secret, h256, good), auth.ErrTokenSignature},
		"padding":               {sign(t, hs, secret, h256, good) + "=", auth.ErrTokenSignature},
		"alg none":              {"eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(good)) + ".", auth.ErrTokenInvalid},
		"alg none, signed":      {sign(t, hs, secret, "eyJhbGciOiJub25lIn0", good), auth.ErrTokenAlgorithm},
		"header with typ":       {sign(t, hs, secret, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", good), auth.ErrTokenAlgorithm},
		"header with blank":     {sign(t, hs, secret, base64.RawURLEncoding.EncodeToString([]byte(`{"alg": "HS256"}`)), good), auth.ErrTokenAlgorithm},
		"two parts":             {"a.b", auth.ErrTokenInvalid},
		"too long":              {strings.Repeat("a", maxToken+1), auth.ErrTokenInvalid},
		"four parts":            {sign(t, hs, secret, h256, good) + ".x", auth.ErrTokenInvalid},
		"empty signature":       {h256 + "." + base64.RawURLEncoding.EncodeToString([]byte(good)) + ".", auth.ErrTokenInvalid},
		"signature not base64":  {h256 + "." + base64.RawURLEncoding.EncodeToString([]byte(good)) + ".%%", auth.ErrTokenSignature},
		"payload not base64":    {sign(t, hs, secret, h256, good)[:len(h256)+1] + "%%." + "aa", auth.ErrTokenSignature},
		"empty":                 {"", auth.ErrTokenInvalid},
		"expiry null":           {sign(t, hs, secret, h256, `{"sub":"alice","exp":null}`), auth.ErrTokenInvalid},
		"expiry not a number":   {sign(t, hs, secret, h256, `{"sub":"alice","exp":"NaN"}`), auth.ErrTokenInvalid},
		"subject not a text":    {sign(t, hs, secret, h256, `{"sub":1,"exp":1000}`), auth.ErrTokenInvalid},
		"payload is a list":     {sign(t, hs, secret, h256, `[]`), auth.ErrTokenInvalid},
		"whole second is valid": {sign(t, hs, secret, h256, `{"sub":"alice","exp":1000}`), nil},
	}
	s := signer{secret: []byte(secret), now: clock(1000)}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			subject, _, err := s.verify(tt.token)
			if !errors.Is(err, tt.want) || tt.want == nil && subject != "alice" {
				t.Errorf("verify() = %q, %v, want %v", subject, err, tt.want)
			}
			if tt.want != nil && !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("verify() = %v, which is no auth.ErrCredentials", err)
			}
		})
	}
}

// FUZ-10: no bytes panic, and nothing passes without the signature.
func FuzzVerify(f *testing.F) {
	s := signer{secret: []byte(strings.Repeat("k", 32)), now: clock(1000)}
	f.Add("a.b.c")
	f.Add(h256 + ".e30.")
	f.Add(h512 + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"a","exp":2000}`)) + ".AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if subject, _, err := s.verify(token); err == nil {
			t.Errorf("verify(%q) = %q, accepted", token, subject)
		}
	})
}
