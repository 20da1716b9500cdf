package authz

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := writeFile(path, []byte(hex.EncodeToString(secret))); err != nil {
		return nil, false, fmt.Errorf("write secret: %w", err)
	}
	return secret, true, nil
}

// writeFile creates a file of mode 0600 that is whole or absent after a crash.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
