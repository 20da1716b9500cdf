package authz

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/easynet-cn/batata/core/auth"
)

// signer issues and checks tokens: JWT with HMAC, the header holding the
// algorithm and nothing else, the payload the subject and the expiry
// (NAC-AUT-09, NAD-AUTH-51..53).
type signer struct {
	secret []byte
	now    func() time.Time
}

// maxToken bounds what is looked at; real tokens are a few hundred bytes.
const maxToken = 8 << 10

// headers are the only accepted first parts of a token.
var headers = map[string]*jwt.SigningMethodHMAC{
	"eyJhbGciOiJIUzI1NiJ9": jwt.SigningMethodHS256,
	"eyJhbGciOiJIUzM4NCJ9": jwt.SigningMethodHS384,
	"eyJhbGciOiJIUzUxMiJ9": jwt.SigningMethodHS512,
}

// method is chosen by the length of the secret.
func (s signer) method() *jwt.SigningMethodHMAC {
	switch n := len(s.secret); {
	case n >= 64:
		return jwt.SigningMethodHS512
	case n >= 48:
		return jwt.SigningMethodHS384
	default:
		return jwt.SigningMethodHS256
	}
}

func (s signer) issue(subject string, ttl time.Duration) (string, error) {
	t := jwt.NewWithClaims(s.method(), jwt.MapClaims{"sub": subject, "exp": s.now().Add(ttl).Unix()})
	delete(t.Header, "typ")
	text, err := t.SignedString(s.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}

// verify returns the subject and the expiry of a token. The algorithm is the
// one the header names, whatever the length of the secret.
func (s signer) verify(token string) (subject string, expires time.Time, err error) {
	if len(token) > maxToken {
		return "", time.Time{}, auth.ErrTokenInvalid
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] == "" { // an empty part at the end counts as none
		return "", time.Time{}, auth.ErrTokenInvalid
	}
	method := headers[parts[0]]
	if method == nil {
		return "", time.Time{}, auth.ErrTokenAlgorithm
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", time.Time{}, auth.ErrTokenSignature
	}
	if err := method.Verify(parts[0]+"."+parts[1], signature, s.secret); err != nil {
		return "", time.Time{}, auth.ErrTokenSignature
	}
	subject, expires, err = claims(parts[1])
	if err != nil {
		return "", time.Time{}, auth.ErrTokenInvalid
	}
	if expires.Unix() < s.now().Unix() {
		return "", time.Time{}, auth.ErrTokenExpired
	}
	return subject, expires, nil
}

func claims(payload string) (string, time.Time, error) {
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("decode payload: %w", err)
	}
	var c struct {
		Subject string          `json:"sub"`
		Expiry  json.RawMessage `json:"exp"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return "", time.Time{}, fmt.Errorf("decode payload: %w", err)
	}
	// The expiry may be a number, a fraction, or a number as text.
	seconds, err := strconv.ParseFloat(strings.Trim(string(c.Expiry), `"`), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > math.MaxInt32<<8 || c.Subject == "" {
		return "", time.Time{}, errors.New("no subject or no expiry")
	}
	return c.Subject, time.Unix(int64(seconds), 0), nil
}
