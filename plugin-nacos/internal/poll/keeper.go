package poll

import (
	"context"
	"sync"
	"time"

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
	hub     fanout.Hub[configstore.Key]

	mu     sync.Mutex // guards parked and drained
	parked map[*Poll]struct{}
	drain  chan struct{} // closed by Drain
	once   sync.Once
}

// NewKeeper builds a Keeper that is told of changes by configs; legal before
// its Run only.
func NewKeeper(configs *config.Service) *Keeper {
	k := &Keeper{configs: configs, parked: map[*Poll]struct{}{}, drain: make(chan struct{})}
	configs.OnChange(func(c configstore.Change) { k.hub.Fire(c.Key) }, k.compareAgain)
	return k
}

// Changed compares every line with what is stored and returns those that
// differ, in their order (NAC-H1C-34, NAC-H1C-41).
func (k *Keeper) Changed(ctx context.Context, p *Poll) ([]*Line, error) {
	changed, _, err := k.compare(ctx, p, false)
	return changed, err
}

func (k *Keeper) compare(ctx context.Context, p *Poll, local bool) ([]*Line, []*configstore.Head, error) {
	keys := make([]configstore.Key, len(p.Lines))
	for i := range p.Lines {
		keys[i] = p.Lines[i].Key()
	}
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

// Wait compares like Changed and, when nothing differs, waits up to hold for
// the first change and returns that line alone (NAC-H1C-35). Nothing and no
// error mean that the time is over or the server is about to stop. It returns
// errs.ErrBusy when too many polls wait.
func (k *Keeper) Wait(ctx context.Context, p *Poll, hold time.Duration) ([]*Line, error) {
	byKey := make(map[configstore.Key]int, len(p.Lines))
	keys := make([]configstore.Key, 0, len(p.Lines))
	for i := range p.Lines {
		key := p.Lines[i].Key()
		if _, twice := byKey[key]; !twice {
			keys = append(keys, key)
		}
		byKey[key] = i
	}
	w := k.hub.Join(keys...)
	defer k.hub.Leave(w)
	changed, heads, err := k.compare(ctx, p, false)
	if err != nil || len(changed) > 0 {
		return changed, err
	}
	if !k.park(p) {
		return nil, errs.ErrBusy
	}
	defer k.leave(p)
	timer := time.NewTimer(hold)
	defer timer.Stop()
	for {
		select {
		case key := <-w.C():
			i := byKey[key]
			now, err := k.configs.Head(ctx, key, true)
			if err != nil {
				return nil, err
			}
			if !config.SameContent(heads[i], now) {
				return []*Line{&p.Lines[i]}, nil
			}
			// The channel keeps one key only: another may have changed too.
			if changed, heads, err = k.compare(ctx, p, true); err != nil || len(changed) > 0 {
				return changed, err
			}
		case <-timer.C:
			return nil, nil
		case <-k.drain:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // the client is gone
		}
	}
}

func (k *Keeper) park(p *Poll) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.parked) >= maxParked {
		return false
	}
	k.parked[p] = struct{}{}
	return true
}

func (k *Keeper) leave(p *Poll) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.parked, p)
}

// compareAgain wakes everybody: changes may have been missed. A poll whose
// configs are unchanged goes on waiting.
func (k *Keeper) compareAgain() {
	for _, p := range k.all() {
		for i := range p.Lines {
			k.hub.Fire(p.Lines[i].Key())
		}
	}
}

func (k *Keeper) all() []*Poll {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]*Poll, 0, len(k.parked))
	for p := range k.parked {
		out = append(out, p)
	}
	return out
}

// Parked is the number of polls that wait.
func (k *Keeper) Parked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.parked)
}

// Listeners returns the address and digest of everybody who waits on a config
// (NAC-H1C-11).
func (k *Keeper) Listeners(key configstore.Key) map[string]string {
	out := map[string]string{}
	for _, p := range k.all() {
		for i := range p.Lines {
			if p.Lines[i].Key() == key {
				out[p.IP] = p.Lines[i].MD5
			}
		}
	}
	return out
}

// ListenedBy returns the keys and digests that polls from an address wait on
// (NAC-H1C-17).
func (k *Keeper) ListenedBy(ip string) map[configstore.Key]string {
	out := map[configstore.Key]string{}
	for _, p := range k.all() {
		if p.IP != ip {
			continue
		}
		for i := range p.Lines {
			out[p.Lines[i].Key()] = p.Lines[i].MD5
		}
	}
	return out
}

// Drain answers all polls, now and from now on, with nothing: the client asks
// again, somewhere else (NAC-H1C-36).
func (k *Keeper) Drain() { k.once.Do(func() { close(k.drain) }) }
