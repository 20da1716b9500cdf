// Package member keeps who this member is in its data directory: its random id,
// the id of its cluster, and how often it has started (ARC-R05).
package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/easynet-cn/batata/core/internal/durable"
)

// fileName is the file in the data directory.
const fileName = "member.json"

// Identity is what the file holds.
type Identity struct {
	ID      uint64 `json:"id,string"`      // never 0, never used again
	Cluster uint64 `json:"cluster,string"` // the same on all members
	Starts  uint64 `json:"starts"`         // this one included
}

// Open reads the identity of dir, makes one when there is none, and counts this
// start. What it returns is durable.
func Open(dir string) (Identity, error) {
	path := filepath.Join(dir, fileName)
	var id Identity
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &id); err != nil || id.ID == 0 {
			return Identity{}, fmt.Errorf("read %s: damaged: restore it from a backup of this data directory", path)
		}
	case errors.Is(err, fs.ErrNotExist):
		id = Identity{ID: random(), Cluster: random()}
	default:
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	id.Starts++
	if b, err = json.Marshal(id); err != nil {
		return Identity{}, fmt.Errorf("write identity: %w", err)
	}
	if err := durable.Replace(path, b); err != nil {
		return Identity{}, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// random returns an id that is not 0 and fits a signed number.
func random() uint64 { return rand.Uint64()>>1 | 1 }
