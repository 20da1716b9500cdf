package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/cli"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// version is set by the linker.
var version = "dev" //nolint:gochecknoglobals // the linker needs a variable

// Option adds something to a distribution.
type Option func(*distribution)

type distribution struct{ plugins []plugin.Plugin }

// With puts plugins into a distribution; their order is that of their start.
func With(plugins ...plugin.Plugin) Option {
	return func(d *distribution) { d.plugins = append(d.plugins, plugins...) }
}

// Main is the main function of a distribution: flags, signals, exit code. It
// does not return.
func Main(options ...Option) {
	var d distribution
	for _, o := range options {
		o(&d)
	}
	manifests := make([]plugin.Manifest, len(d.plugins))
	for i, p := range d.plugins {
		manifests[i] = p.Manifest()
	}
	os.Exit(cli.Execute(context.Background(), cli.Settings{ //nolint:forbidigo // this is main
		Name: "batata", Version: version, Manifests: manifests,
		Serve:       d.serve,
		InitOffline: initOffline,
		Env:         os.LookupEnv, In: os.Stdin, Out: os.Stdout, Errors: os.Stderr,
	}, os.Args[1:]))
}

// serve runs the server that a configuration describes.
func (d *distribution) serve(ctx context.Context, v *conf.Values) error {
	logger, err := newLogger(v)
	if err != nil {
		return err
	}
	defer func() { _ = logger.Sync() }() // standard error cannot always be synced
	for _, w := range v.Warnings {
		logger.Warn(w)
	}
	c, err := configOf(ctx, v, logger)
	if err != nil {
		return err
	}
	tune(logger)
	logger.Info("batata starts", zap.String("version", version), zap.Strings("files", v.Files), zap.String("data_dir", c.Core.DataDir))
	err = Run(ctx, c, d.plugins...)
	if err == nil {
		logger.Info("batata stopped")
	}
	return err
}

// configOf translates the values of the operator.
func configOf(ctx context.Context, v *conf.Values, logger *zap.Logger) (Config, error) {
	coreConfig, err := coreOf(v)
	if err != nil {
		return Config{}, err
	}
	var others Cluster
	if coreConfig.Peer, others, err = clusterOf(ctx, v, logger); err != nil {
		return Config{}, err
	}
	user, password, err := cli.FirstPassword(os.LookupEnv)
	if err != nil {
		return Config{}, err
	}
	token, isNew, err := setupToken(coreConfig.DataDir, len(password) > 0)
	if err != nil {
		return Config{}, err
	}
	coreConfig.Auth.SetupToken = token
	p := v.Int("nacos.server.main.port")
	if p == 0 {
		p = -1
	}
	return Config{
		Core: coreConfig, Bind: v.Text("server.bind"), Port: p, Sections: v.Plugins,
		AllowUnauthenticated: v.Bool("server.allow_unauthenticated"), Confined: confined(coreConfig.Peer.Listen != ""),
		Drain: v.Duration("server.drain"), PerIP: v.Int("limits.connections_per_ip"),
		TLS: TLS{
			CertFile: v.Text("server.tls.cert_file"), KeyFile: v.Text("server.tls.key_file"),
			ClientCAFile: v.Text("server.tls.client_ca_file"), Only: !v.Bool("server.tls.plaintext"),
		},
		FirstAdmin: auth.FirstAdmin{User: user, Password: password},
		TokenIsNew: isNew, Cluster: others, Logger: logger,
	}, nil
}

// coreOf translates what the node needs.
func coreOf(v *conf.Values) (core.Config, error) {
	secret, err := v.TokenSecret()
	if err != nil {
		return core.Config{}, err
	}
	if err := v.CheckIdentity(); err != nil {
		return core.Config{}, err
	}
	const staleKey = "nacos.naming.client.expired.time"
	stale := v.Int(staleKey)
	if stale <= 0 {
		return core.Config{}, fmt.Errorf("%s: must be positive, got %d", staleKey, stale)
	}
	return core.Config{
		DataDir: v.Text("data_dir"), Durability: core.Durability(v.Text("durability")),
		Auth: core.Auth{
			Secret: secret, TTL: time.Duration(v.Int("nacos.core.auth.plugin.nacos.token.expire.seconds")) * time.Second,
			AllowWeakPasswords: v.Bool("auth.allow_weak_passwords"),
		},
		Configs:  core.Configs{RetentionAge: time.Duration(v.Int("nacos.config.retention.days")) * 24 * time.Hour},
		Registry: core.Registry{StaleAfter: time.Duration(stale) * time.Millisecond},
	}, nil
}

// setupToken returns the token that opens the door to the first administrator
// from elsewhere, and whether it was made just now (PRD-12).
func setupToken(dir string, named bool) (token string, isNew bool, err error) {
	if named {
		return "", false, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, fmt.Errorf("data directory: %w", err)
	}
	return admin.SetupToken(dir)
}

// initOffline creates the first administrator of a stopped node.
func initOffline(ctx context.Context, v *conf.Values, user string, password []byte) error {
	c, err := coreOf(v)
	if err != nil {
		return err
	}
	if !v.Bool("nacos.standalone") {
		return errors.New("no server is running here: start the members of the cluster first, then ask one of them")
	}
	node, err := core.Start(ctx, c)
	if err != nil {
		return err
	}
	err = node.Directory().Bootstrap(ctx, auth.FirstAdmin{User: user, Password: password, Local: true})
	if closed := node.Close(); err == nil { //nolint:contextcheck // has a limit of its own
		err = closed
	}
	return err
}

// newLogger writes to standard error.
func newLogger(v *conf.Values) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(v.Text("log.level"))
	if err != nil {
		return nil, fmt.Errorf("log.level: want debug, info, warn or error, got %q", v.Text("log.level"))
	}
	c := zap.NewProductionConfig()
	c.Level = zap.NewAtomicLevelAt(level)
	c.Sampling, c.DisableStacktrace, c.DisableCaller = nil, true, true
	c.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	c.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	switch format := v.Text("log.format"); format {
	case "json":
	case "console":
		c.Encoding = "console"
		c.EncoderConfig.EncodeLevel = zapcore.CapitalLevelEncoder
	default:
		return nil, fmt.Errorf("log.format: want console or json, got %q", format)
	}
	return c.Build()
}
