package poll

import (
	"context"
	"sync/atomic"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/errs"
)

// maxParked bounds the polls that wait at the same time.
const maxParked = 100_000

// Poll is one request of a client.
type Poll struct {
	Lines []Line
	IP    string // by which grays are chosen, and shown to operators
	Tag   string
}

// Keeper parks polls and wakes them. All methods are safe for concurrent use.
type Keeper struct {
	configs *config.Service
	hub     fanout.Hub[configstore.Key, *Waiting]
	parked  atomic.Int64
	drained atomic.Bool
}

// NewKeeper builds a Keeper that is told of changes by configs; legal before
// its Run only.
func NewKeeper(configs *config.Service) *Keeper {
	k := &Keeper{configs: configs}
	configs.OnChange(func(c configstore.Change) { k.wake(c.Key) }, k.compareAgain)
	return k
}

// Changed compares every line with what is stored and returns those that
// differ, in their order (NAC-H1C-34, NAC-H1C-41).
func (k *Keeper) Changed(ctx context.Context, p *Poll) ([]*Line, error) {
	changed, _, err := k.compare(ctx, p, keysOf(p), false)
	return changed, err
}

func keysOf(p *Poll) []configstore.Key {
	keys := make([]configstore.Key, len(p.Lines))
	for i := range p.Lines {
		keys[i] = p.Lines[i].Key()
	}
	return keys
}

func (k *Keeper) compare(ctx context.Context, p *Poll, keys []configstore.Key, local bool) ([]*Line, []*configstore.Head, error) {
	heads, err := k.configs.Heads(ctx, keys, nil, local)
	if err != nil {
		return nil, nil, err
	}
	labels := config.Labels(p.IP, p.Tag)
	var changed []*Line
	for i, h := range heads {
		if config.Digest(h, labels) != p.Lines[i].MD5 {
			changed = append(changed, &p.Lines[i])
		}
	}
	return changed, heads, nil
}

// Join compares like Changed and, when nothing differs, lets the poll wait: the
// answer is then for Waiting.Wait or Waiting.Tell to bring, one of which must be
// called. It returns errs.ErrBusy when too many polls wait.
func (k *Keeper) Join(ctx context.Context, p *Poll) (*Waiting, []*Line, error) {
	keys := keysOf(p)
	w := &Waiting{keeper: k, poll: p}
	w.place = k.hub.Join(w, keys...)
	for local := false; ; local = true {
		changed, heads, err := k.compare(ctx, p, keys, local)
		if err != nil || len(changed) > 0 {
			k.hub.Leave(w.place)
			return nil, changed, err
		}
		if w.settle(heads) {
			break
		}
	}
	if k.parked.Add(1) > maxParked {
		w.end()
		return nil, nil, errs.ErrBusy
	}
	if k.drained.Load() {
		w.end()
		return nil, nil, nil
	}
	return w, nil, nil
}

// wake ends, with the line of a config that changed, the polls on it that were
// served another content before (NAC-H1C-35). What cannot be read now they ask for
// again.
func (k *Keeper) wake(key configstore.Key) {
	// Who joins after this look compares with a state that has the change.
	if !k.hub.Any(key) {
		return
	}
	now, err := k.configs.Head(context.Background(), key, true)
	k.end(key, func(w *Waiting, n int) (bool, []*Line) {
		switch {
		case err != nil:
			return true, nil
		case config.SameContent(w.heads[n], now):
			return false, nil
		}
		return true, []*Line{&w.poll.Lines[n]}
	})
}

// end ends the polls on key that why gives a reason for, in one pass, and tells
// their clients.
func (k *Keeper) end(key configstore.Key, why func(w *Waiting, n int) (bool, []*Line)) {
	ended := k.hub.Take(key, func(w *Waiting, n int) bool { return w.due(n, why) })
	k.parked.Add(-int64(len(ended)))
	for _, w := range ended {
		w.deliver()
	}
}

// compareAgain wakes everybody: changes may have been missed. A poll whose
// configs are unchanged goes on waiting.
func (k *Keeper) compareAgain() {
	for _, key := range k.hub.Keys() {
		k.wake(key)
	}
}

// Parked is the number of polls that wait.
func (k *Keeper) Parked() int { return int(k.parked.Load()) }

// Listeners returns the address and digest of everybody who waits on a config
// (NAC-H1C-11).
func (k *Keeper) Listeners(key configstore.Key) map[string]string {
	out := map[string]string{}
	k.hub.Each(key, func(w *Waiting, n int) {
		if w.waits() {
			out[w.poll.IP] = w.poll.Lines[n].MD5
		}
	})
	return out
}

// ListenedBy returns the keys and digests that polls from an address wait on
// (NAC-H1C-17).
func (k *Keeper) ListenedBy(ip string) map[configstore.Key]string {
	out := map[configstore.Key]string{}
	for _, key := range k.hub.Keys() {
		k.hub.Each(key, func(w *Waiting, n int) {
			if w.poll.IP == ip && w.waits() {
				out[key] = w.poll.Lines[n].MD5
			}
		})
	}
	return out
}

// Drain answers all polls, now and from now on, with nothing: the client asks
// again, somewhere else (NAC-H1C-36).
func (k *Keeper) Drain() {
	k.drained.Store(true)
	for _, key := range k.hub.Keys() {
		k.end(key, func(*Waiting, int) (bool, []*Line) { return true, nil })
	}
}
