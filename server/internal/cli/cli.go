// Package cli is the command line of a distribution. It parses flags, loads the
// configuration, catches signals and turns errors into exit codes; what the
// commands do lies elsewhere.
//
// Exit codes: 0 done, 1 failed, 2 refused (usage, configuration, or a server
// that would serve nobody), 3 the data is damaged (see batata admin raft verify).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// Settings wires the command line to one distribution.
type Settings struct {
	Name      string // of the binary
	Version   string
	Manifests []plugin.Manifest
	// Serve runs the server until ctx ends.
	Serve func(ctx context.Context, v *conf.Values) error
	// InitOffline creates the first administrator of a node that is stopped.
	InitOffline func(ctx context.Context, v *conf.Values, user string, password []byte) error

	Env    func(string) (string, bool)
	In     io.Reader
	Out    io.Writer
	Errors io.Writer
}

const (
	exitFailed  = 1
	exitRefused = 2
	exitDamaged = 3
)

// refusal marks an error as one of usage or configuration.
type refusal struct{ error }

func (refusal) ExitCode() int   { return exitRefused }
func (r refusal) Unwrap() error { return r.error }

// Execute runs one command and returns the exit code.
func Execute(ctx context.Context, s Settings, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot(&s) //nolint:contextcheck // commands take the context from cobra
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(s.Errors, "%s: %v\n", s.Name, err)
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	if _, ok := errors.AsType[*core.DamageError](err); ok {
		return exitDamaged
	}
	return exitFailed
}

func newRoot(s *Settings) *cobra.Command {
	var src sourceFlags
	serve := serveCommand(s, &src)
	root := &cobra.Command{
		Use:           s.Name,
		Short:         "Service registry and configuration server",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          refuseArgs,
		RunE:          serve.RunE, // without a subcommand it is server
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Errors)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return refusal{err} })
	src.bind(root)
	root.AddCommand(serve, versionCommand(s), pluginsCommand(s), healthCommand(s, &src), adminCommand(s, &src), clusterCommand(s, &src),
		backupCommand(s, &src), restoreCommand(s, &src))
	return root
}

func refuseArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return refusal{err}
	}
	return nil
}

// sourceFlags are the flags that say where the configuration comes from.
type sourceFlags struct {
	file, dataDir string
	sets          []string
}

func (f *sourceFlags) bind(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.file, "config", "", "configuration file (default conf/application.yml, none is fine)")
	flags.StringVar(&f.dataDir, "data-dir", "", "data directory, as --set data_dir=DIR")
	flags.StringArrayVar(&f.sets, "set", nil, "one configuration value, key=value (repeatable)")
}

func (f *sourceFlags) load(s *Settings) (*conf.Values, error) {
	v, err := conf.Load(conf.Source{File: f.file, Env: s.Env, Flags: f.sets, DataDir: f.dataDir})
	if err != nil {
		return nil, refusal{err}
	}
	return v, nil
}

func serveCommand(s *Settings, src *sourceFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "server",
		Short: "Run the server (the default)",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			return s.Serve(cmd.Context(), v)
		},
	}
}
