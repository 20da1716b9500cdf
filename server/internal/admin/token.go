package admin

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tokenName is the file of the setup token in the data directory.
const tokenName = "setup-token"

// SetupToken returns the token of dir, and makes one of 256 random bits, mode
// 0600, when there is none; created says so, once.
func SetupToken(dir string) (token string, created bool, err error) {
	path := filepath.Join(dir, tokenName)
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read setup token: %w", err)
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	token = hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("write setup token: %w", err)
	}
	return token, true, nil
}

// RemoveSetupToken forgets the token once there is an administrator.
func RemoveSetupToken(dir string) error {
	err := os.Remove(filepath.Join(dir, tokenName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove setup token: %w", err)
	}
	return nil
}
