package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/easynet-cn/batata/core/auth"
)

const (
	maxPassword = 72 // characters; and the bytes that bcrypt looks at
	minAdmin    = 8  // characters of an administrator's password
)

// PasswordCost is the cost of bcrypt that servers use (NAD-AUTH-70).
const PasswordCost = bcrypt.DefaultCost

// unknownHash is compared when the user does not exist, so that the answer takes
// as long as for a wrong password. It is the hash of nothing anybody knows, at
// whatever cost.
func unknownHash(cost int) string {
	return fmt.Sprintf("$2a$%02d$VQcoWEC06gyf7hedIMJCR.GdKzIIM1f9.1kGBLHtLWvwnjZJw4bi6", cost)
}

// hash returns the bcrypt hash of a password of at most 72 characters.
func hash(password []byte, cost int) (string, error) {
	if len(password) == 0 {
		return "", &auth.PasswordError{Reason: "blank"}
	}
	if utf8.RuneCount(password) > maxPassword {
		return "", &auth.PasswordError{Reason: fmt.Sprintf("longer than %d characters", maxPassword)}
	}
	b, err := bcrypt.GenerateFromPassword(cut(password), cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(b), nil
}

// comparer compares passwords with hashes, on a part of the processors only:
// whoever guesses, from however many addresses, leaves the others to the rest.
type comparer struct {
	room    chan struct{} // holds one for each comparison under way
	compare func(hash, password []byte) error
}

func newComparer() comparer {
	return comparer{
		room:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		compare: bcrypt.CompareHashAndPassword,
	}
}

// matches compares a password with a hash in the time bcrypt takes.
func (c comparer) matches(ctx context.Context, hash string, password []byte) (bool, error) {
	if utf8.RuneCount(password) > maxPassword {
		return false, nil
	}
	select {
	case c.room <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("check password: %w", ctx.Err())
	}
	defer func() { <-c.room }()
	return c.compare([]byte(hash), cut(password)) == nil, nil
}

func cut(password []byte) []byte { return password[:min(len(password), maxPassword)] }

// weak says why an administrator must not have this password, or nil (PRD-12).
func weak(user string, password []byte) error {
	text := strings.ToLower(string(password))
	switch {
	case text == "nacos", text == "admin", text == "batata":
		return &auth.PasswordError{Reason: "too well known"}
	case text == strings.ToLower(user):
		return &auth.PasswordError{Reason: "same as the user name"}
	case utf8.RuneCount(password) < minAdmin:
		return &auth.PasswordError{Reason: fmt.Sprintf("shorter than %d characters", minAdmin)}
	}
	return nil
}

// errBlankUser refuses an account without a name.
var errBlankUser = errors.New("user name: blank")
