package distro

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"

	"github.com/easynet-cn/batata/core/internal/catalog"
	"github.com/easynet-cn/batata/core/registry"
)

// NAC-QRK-02: a client that moves to a member whose clock is behind is told no
// earlier times than before. A clock that is wrong is not followed, and told of once.
func TestClockOfAnother(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	c := catalog.New(catalog.Settings{Member: 1})
	s := newState(Settings{Member: 1, Epoch: 1, Logger: zap.New(core), Clock: func() uint64 { return 1 }}, c)
	s.settings.Meters = newMeters(s, nil)
	now := time.Now()
	s.tick(now, []Member{{1, Up}, {2, Up}})
	receive := func(told int64) {
		t.Helper()
		if err := s.receive(2, &peerv1.DistroMessage{Epoch: 1, Time: told}, now); err != nil {
			t.Fatal(err)
		}
	}
	ahead := now.Add(registry.MaxSkew / 2).UnixMilli()
	receive(0)
	receive(ahead)
	if got := c.Clock().Now(); got < ahead {
		t.Errorf("Now() = %d, want at least %d, which another member told", got, ahead)
	}
	for range 3 {
		receive(now.Add(2 * registry.MaxSkew).UnixMilli())
	}
	if got := c.Clock().Now(); got > now.Add(registry.MaxSkew).UnixMilli() {
		t.Errorf("Now() = %d: a wrong clock was followed", got)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
	if o := s.next(2, now); o == nil || o.message.GetTime() < ahead {
		t.Errorf("next() = %+v, want a message that tells this clock", o)
	}
}
