package nacos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/account"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/configrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/fanout"
	"github.com/easynet-cn/batata/plugin-nacos/internal/members"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naminghttp"
	"github.com/easynet-cn/batata/plugin-nacos/internal/namingrpc"
	"github.com/easynet-cn/batata/plugin-nacos/internal/poll"
	"github.com/easynet-cn/batata/plugin-nacos/internal/stream"
	"github.com/easynet-cn/batata/plugin-nacos/internal/udppush"
	v1 "github.com/easynet-cn/batata/plugin-nacos/internal/v1"
	v3 "github.com/easynet-cn/batata/plugin-nacos/internal/v3"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

const (
	name = "nacos"

	mountAPI     = "api"
	listenerGRPC = "grpc"
	listenerUDP  = "udp"
	grpcOffset   = 1000 // from the main port (NAC-TRN-09)
)

// Plugin returns the personality.
func Plugin() plugin.Plugin { return personality{} }

type personality struct{}

// Manifest implements plugin.Plugin.
func (personality) Manifest() plugin.Manifest {
	return plugin.Manifest{
		Name:    name,
		Version: "1",
		Listeners: []plugin.Listener{
			{Name: listenerGRPC, Network: "tcp", Address: ":9848", MainOffset: grpcOffset},
			{Name: listenerUDP, Network: "udp", Address: ":0"}, // clients answer where packets come from (NAC-UDP-05)
		},
		Mounts:    []plugin.Mount{{Name: mountAPI, Listener: plugin.Main, Prefixes: []string{"/nacos"}}},
		Resources: []string{authmap.KindConfig, authmap.KindNaming},
		Config:    defaults,
	}
}

// New implements plugin.Plugin.
func (personality) New(ctx context.Context, h plugin.Host) (plugin.Instance, error) {
	cfg, ok := h.Config().(*Config)
	if !ok {
		return nil, fmt.Errorf("configuration of %s: %T", name, h.Config())
	}
	gate := authmap.NewGate(h.Auth(), authmap.Switches{
		Client: cfg.Auth.Enabled, Admin: cfg.Auth.AdminEnabled, Console: cfg.Auth.ConsoleEnabled,
		IdentityKey: cfg.Auth.IdentityKey, IdentityValue: cfg.Auth.IdentityValue,
	})
	i := &instance{cluster: h.Cluster(), synced: fanout.Synced(h.Registry())}
	configs := config.New(config.Settings{
		Configs: h.Configs(), Store: h.KV(), Committer: h.Txn(), Logger: h.Logger(), MaxGrays: cfg.Config.MaxGrays,
	})
	var err error
	i.stream, err = stream.New(stream.Settings{
		Gate: gate, Logger: h.Logger(), Metrics: h.Metrics(), Ready: i.Begun,
		Abilities: map[string]bool{"supportPersistentInstanceByGrpc": true}, // what is absent is not announced (NAC-CON-20)
	})
	if err != nil {
		return nil, fmt.Errorf("gRPC transport: %w", err)
	}
	rpc := configrpc.New(configrpc.Settings{
		Configs: configs, Encoder: h.Encoder("config-query"),
		Timeout: millis(cfg.Config.PushTimeoutMS), Retries: cfg.Config.PushRetries,
	})
	rpc.Register(i.stream)
	services, err := newNaming(ctx, h, cfg)
	if err != nil {
		return nil, err
	}
	pushes := namingrpc.New(namingrpc.Settings{
		Naming: services, Logger: h.Logger(), Synced: fanout.Synced(h.Registry()),
		Delay: millis(cfg.Naming.PushDelayMS), Timeout: millis(cfg.Naming.PushTimeoutMS),
		Retry: millis(cfg.Naming.PushRetryDelayMS), WarmUp: millis(cfg.Naming.WarmUpMS),
	})
	pushes.Register(i.stream)
	packets, err := udppush.New(udppush.Settings{
		Naming: services, Logger: h.Logger(), Metrics: h.Metrics(), Synced: fanout.Synced(h.Registry()),
		Delay: millis(cfg.Naming.PushDelayMS), WarmUp: millis(cfg.Naming.WarmUpMS),
	})
	if err != nil {
		return nil, err
	}
	i.polls = poll.NewKeeper(configs) //nolint:contextcheck // it is told of changes by a worker

	router := web.NewRouter(gate, h.Logger(), h.Prefixes(mountAPI))
	router.Add(slices.Concat( //nolint:contextcheck // handlers have the context of their request
		(&v1.API{Configs: configs, Polls: i.polls, Listeners: rpc, Ready: i.Ready, Owner: name, Encoder: h.Encoder("config-headers")}).Routes(),
		(&v3.API{Configs: configs, Ready: i.Ready}).Routes(),
		(&naminghttp.API{Naming: services, Catalog: h.Registry(), Ready: i.Begun, Pushes: packets}).Routes(), //nolint:contextcheck // likewise
		(&members.API{Cluster: h.Cluster(), Now: time.Now}).Routes(),                                         //nolint:contextcheck // likewise
		account.New(h.Auth(), h.Directory(), cfg.Auth.Enabled).Routes(),                                      //nolint:contextcheck // likewise
	)...)

	h.HTTP(mountAPI, router)
	for _, listener := range []string{plugin.Main, listenerGRPC} {
		h.GRPC(listener, i.stream.Register, i.stream.Options())
	}
	h.ServePacket(listenerUDP, packets.Serve)
	h.Go("config-changes", configs.Run)
	h.Go("service-changes", services.Run)
	h.Go("service-pushes", pushes.Run)
	h.Go("udp-pushes", packets.Run)
	h.Go("idle-connections", i.stream.Detect)
	return i, nil
}

func newNaming(ctx context.Context, h plugin.Host, cfg *Config) (*naming.Service, error) {
	self, err := h.Cluster().Self(ctx)
	if err != nil {
		return nil, fmt.Errorf("member that owns what connections register: %w", err)
	}
	return naming.New(naming.Settings{
		Catalog: h.Registry(), Ephemeral: h.Ephemeral(), Store: h.KV(), Committer: h.Txn(), Logger: h.Logger(),
		Owner: name, Member: self.ID, Hosts: h.Encoder("naming-hosts"),
		KeepSilent: !cfg.Naming.ExpireInstances,
	}), nil
}

// instance is a personality at work.
type instance struct {
	cluster cluster.Cluster
	synced  func(context.Context) (bool, error)
	begun   atomic.Bool // it was ready once
	stream  *stream.Server
	polls   *poll.Keeper
}

var (
	_ plugin.Readier = (*instance)(nil)
	_ plugin.Drainer = (*instance)(nil)
)

// Start implements plugin.Instance: the host runs the workers.
func (*instance) Start(context.Context) error { return nil }

// The texts that operators' probes look for (NAD-MET-04).
var (
	errNotReady       = errors.New("config and naming not in readiness")
	errNamingNotReady = errors.New("naming not in readiness")
)

// Ready implements plugin.Readier: a leader is known, so that configs and
// persistent instances are written and read as they should be, and naming holds
// what the other members have (NAD-NSEM-58).
func (i *instance) Ready(ctx context.Context) error {
	s, err := i.cluster.State(ctx)
	if err != nil {
		return fmt.Errorf("state of the cluster: %w", err)
	}
	if !s.Ready {
		return errNotReady
	}
	synced, err := i.synced(ctx)
	if err != nil {
		return fmt.Errorf("state of naming: %w", err)
	}
	if !synced {
		return errNamingNotReady
	}
	i.begun.Store(true)
	return nil
}

// Begun is what clients are told by: that the member was ready once. Without a
// quorum it goes on with what needs none (NAD-CLU-34).
func (i *instance) Begun(ctx context.Context) error {
	if i.begun.Load() {
		return nil
	}
	return i.Ready(ctx)
}

// moveLimit is how long clients have to go elsewhere by themselves.
const moveLimit = 3 * time.Second

// Drain implements plugin.Drainer: where there are other members, clients are asked
// to go there; then parked polls are answered with nothing, and streams end.
func (i *instance) Drain(ctx context.Context) error {
	if !i.stream.Draining() && i.others(ctx) {
		part, cancel := context.WithTimeout(ctx, moveLimit)
		i.stream.Move(part)
		cancel()
	}
	i.polls.Drain()
	i.stream.Drain()
	return nil
}

// others says whether clients can go to another member.
func (i *instance) others(ctx context.Context) bool {
	self, err := i.cluster.Self(ctx)
	if err != nil {
		return false
	}
	all, err := i.cluster.Members(ctx)
	return err == nil && slices.ContainsFunc(all, func(m *cluster.Member) bool { return m.ID != self.ID && m.State == cluster.Up })
}

// Shutdown implements plugin.Instance.
func (i *instance) Shutdown(ctx context.Context) error { return i.Drain(ctx) }
