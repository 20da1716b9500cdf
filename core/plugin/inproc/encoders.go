package inproc

import (
	"sync"

	"github.com/easynet-cn/batata/core/memo"
)

// Encoders hands out the ids of encoded forms, the same for the same name. The
// zero value is ready to use.
type Encoders struct {
	mu  sync.Mutex // guards ids
	ids map[string]memo.ID
}

// ID returns the id of name.
func (e *Encoders) ID(name string) memo.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids == nil {
		e.ids = map[string]memo.ID{}
	}
	id, ok := e.ids[name]
	if !ok {
		id = memo.ID(len(e.ids) + 1)
		e.ids[name] = id
	}
	return id
}
