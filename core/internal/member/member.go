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
	"sync"
	"sync/atomic"

	"github.com/easynet-cn/batata/core/internal/durable"
)

// FileName is the file in the data directory.
const FileName = "member.json"

// Identity is what the file holds.
type Identity struct {
	ID      uint64 `json:"id,string"`      // never 0, never used again
	Cluster uint64 `json:"cluster,string"` // the same on all members; 0: in none yet
	Starts  uint64 `json:"starts"`         // this one included
	// Holds says that this member has begun to hold the state of its cluster:
	// others may count on what it has acknowledged.
	Holds bool `json:"holds,omitempty"`
}

// File is the identity of a running member.
type File struct {
	path string
	mu   sync.Mutex // guards writing
	id   atomic.Pointer[Identity]
}

// Open reads the identity of dir, makes an id when there is none, and counts
// this start. What it returns is durable.
func Open(dir string) (*File, error) {
	f := &File{path: filepath.Join(dir, FileName)}
	var id Identity
	b, err := os.ReadFile(f.path)
	switch {
	case err == nil:
		if id, err = parse(f.path, b); err != nil {
			return nil, err
		}
	case errors.Is(err, fs.ErrNotExist):
		id = Identity{ID: Random()}
	default:
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id.Starts++
	return f, f.write(&id)
}

// Read returns the identity of dir without counting a start; fs.ErrNotExist when
// there is none.
func Read(dir string) (Identity, error) {
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	return parse(path, b)
}

// Write makes id the identity of a directory that no member runs on. What it
// writes is durable when it returns.
func Write(dir string, id Identity) error {
	f := File{path: filepath.Join(dir, FileName)}
	return f.write(&id)
}

func parse(path string, b []byte) (id Identity, err error) {
	if err := json.Unmarshal(b, &id); err != nil || id.ID == 0 {
		return Identity{}, fmt.Errorf("read %s: damaged: restore it from a backup of this data directory", path)
	}
	return id, nil
}

// Identity returns what the file holds.
func (f *File) Identity() Identity { return *f.id.Load() }

// Member is the id of this member.
func (f *File) Member() uint64 { return f.id.Load().ID }

// Cluster is the id of its cluster; 0: it is in none yet.
func (f *File) Cluster() uint64 { return f.id.Load().Cluster }

// Join notes the cluster this member is in from now on. What it notes is
// durable when it returns.
func (f *File) Join(cluster uint64) error {
	return f.change(func(id *Identity) { id.Cluster = cluster })
}

// Hold notes that this member begins to hold the state of its cluster.
func (f *File) Hold() error {
	if f.id.Load().Holds {
		return nil
	}
	return f.change(func(id *Identity) { id.Holds = true })
}

func (f *File) change(do func(*Identity)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := *f.id.Load()
	do(&id)
	return f.write(&id)
}

func (f *File) write(id *Identity) error {
	b, err := json.Marshal(id)
	if err == nil {
		err = durable.Replace(f.path, b)
	}
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	f.id.Store(id)
	return nil
}

// Random returns an id that is not 0 and fits a signed number.
func Random() uint64 { return rand.Uint64()>>1 | 1 }
