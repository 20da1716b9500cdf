package naming

import (
	"context"
	"fmt"

	"github.com/easynet-cn/batata/core/registry"
)

// Beat is a sign of life of an instance that was registered over HTTP.
type Beat struct {
	IP      string
	Port    uint16
	Cluster string // blank: DEFAULT
	// Full is what the beat says about the instance, which is registered from it
	// when it is unknown (NAC-H1N-22); nil for a light beat.
	Full *Instance
}

// Beaten is what a client is told about its beat.
type Beaten struct {
	Known    bool  // false: register again (NAC-H1N-23)
	Interval int64 // until the next one in milliseconds, always positive (NAC-QRK-22)
}

// Beat refreshes an instance; one that had become unhealthy for its silence is
// healthy at once (NAC-H1N-21).
func (s *Service) Beat(ctx context.Context, k registry.ServiceKey, b Beat) (Beaten, error) {
	c := Address(b.IP, b.Port)
	cluster := ClusterOf(b.Cluster)
	known, err := s.beat(ctx, c, k, cluster, addressOf(b.IP, b.Port))
	if err != nil {
		return Beaten{}, err
	}
	if !known {
		if known, cluster, err = s.beatElsewhere(ctx, c, k, cluster); err != nil {
			return Beaten{}, err
		}
	}
	if !known && b.Full != nil {
		if err := s.Register(ctx, c, k, *b.Full); err != nil {
			return Beaten{}, err
		}
		return Beaten{true, interval(timesOf(b.Full.Metadata))}, nil
	}
	out := Beaten{Known: known, Interval: defaultInterval}
	if !known {
		return out, nil
	}
	snap, err := s.snapshot(ctx, k)
	if err != nil {
		return Beaten{}, err
	}
	if e := s.find(snap, cluster, b.IP, b.Port); e != nil {
		t := defaults
		for key, value := range e.Meta.All() {
			t.read(key, value)
		}
		out.Interval = interval(t)
	}
	return out, nil
}

func (s *Service) beat(ctx context.Context, c Client, k registry.ServiceKey, cluster, id string) (bool, error) {
	unknown, err := s.ephemeral.Beat(ctx, []registry.Beat{{
		Instance: registry.InstanceKey{Publisher: c.publisher(), Service: k, Subset: cluster, ID: id},
	}})
	if err != nil {
		return false, fmt.Errorf("beat in %v: %w", k, err)
	}
	return len(unknown) == 0, nil
}

// beatElsewhere looks for the client's instance in another cluster of the
// service: a light beat that names none means the one there is.
func (s *Service) beatElsewhere(ctx context.Context, c Client, k registry.ServiceKey, but string) (bool, string, error) {
	snap, err := s.snapshot(ctx, k)
	if err != nil || snap == nil {
		return false, but, err
	}
	for i := range snap.Endpoints {
		e := &snap.Endpoints[i]
		if !s.own(e) || e.Publisher.Key.Scope != c.ID || e.Subset == but {
			continue
		}
		known, err := s.beat(ctx, c, k, e.Subset, idOf(e.Instance))
		return known, e.Subset, err
	}
	return false, but, nil
}

func interval(t times) int64 {
	if t.interval > 0 {
		return t.interval
	}
	return defaultInterval
}
