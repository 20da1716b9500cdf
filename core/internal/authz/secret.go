package authz

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/easynet-cn/batata/core/internal/durable"
)

// Secret returns the secret kept in the file at path, 0600, and makes one of 256
// random bits when there is none. created tells which.
func Secret(path string) (secret []byte, created bool, err error) {
	b, err := os.ReadFile(path)
	if err == nil {
		secret, err = hex.DecodeString(string(b))
		if err != nil || len(secret) < MinSecret {
			return nil, false, fmt.Errorf("secret file %s is damaged: remove it to make a new one (all tokens end)", path)
		}
		return secret, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("read secret: %w", err)
	}
	secret = make([]byte, MinSecret)
	rand.Read(secret) // never returns an error
	if err := durable.Replace(path, []byte(hex.EncodeToString(secret))); err != nil {
		return nil, false, fmt.Errorf("write secret: %w", err)
	}
	return secret, true, nil
}
