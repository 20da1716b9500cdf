package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/server/internal/admin"
)

// oneFile is the argument of backup and restore.
func oneFile(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return refusal{err}
	}
	return nil
}

func backupCommand(s *Settings, src *sourceFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Write the state of the cluster to a file, through the server of this machine, while it runs",
		Long: `Write the replicated state of the cluster to a file, or to standard output, while
the server runs and takes writes: configurations, users, namespaces, locks and
persistent instances, as they are at one moment, all that was acknowledged before
included. Instances that live with their connection or their beats are not in it.

Any member gives it, as long as the cluster has a quorum. The file holds passwords
in their hashed form and all contents, not encrypted. One that is there already is
not replaced.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			return backupTo(cmd, v.Text("data_dir"), args[0])
		},
	}
}

func backupTo(cmd *cobra.Command, dir, file string) error {
	report, write := cmd.OutOrStdout(), writeNew
	if file == "-" {
		if f, ok := cmd.OutOrStdout().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return refusal{errors.New("backup: standard output is a terminal")}
		}
		report = cmd.ErrOrStderr()
		write = func(_ string, fill func(io.Writer) error) error { return fill(cmd.OutOrStdout()) }
	}
	var info core.BackupInfo
	var bytes int64
	err := write(file, func(w io.Writer) (err error) {
		info, bytes, err = admin.Backup(cmd.Context(), dir, w)
		return err
	})
	if errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("%w (--data-dir names another)", err)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = fmt.Fprintf(report, "backup of cluster %016x at entry %d, revision %d: %d bytes\n", info.Cluster, info.Index, info.Revision, bytes)
	return err
}

// writeNew makes a file that is there whole, durably, or not at all. One that
// exists is left alone.
func writeNew(path string, fill func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part*") // mode 0600
	if err != nil {
		return err
	}
	err = fill(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func restoreCommand(s *Settings, src *sourceFlags) *cobra.Command {
	var atLeast uint64
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Make an empty data directory the first member of a new cluster that holds a backup",
		Long: `Read a backup, from a file or standard input, into a data directory without data.
Nothing is left in the directory unless every byte of the backup is right.

The directory becomes the one member of a new cluster: members of the old one are
refused, and revisions go on far above those of the backup. Restore on one machine
only, whatever the size of the cluster, and start its server. The others start with
empty directories and a list of members that names it; they join and get everything.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("restore: %w", err)
				}
				defer f.Close()
				in = f
			}
			return restoreFrom(cmd.Context(), cmd.OutOrStdout(), v.Text("data_dir"), in, atLeast)
		},
	}
	cmd.Flags().Uint64Var(&atLeast, "min-revision", 0, "go on from this revision, when clients may have seen one above the backup's plus 2^32")
	return cmd
}

func restoreFrom(ctx context.Context, out io.Writer, dir string, in io.Reader, atLeast uint64) error {
	r, err := core.Restore(ctx, dir, in, atLeast)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `restored cluster %016x of %s, entry %d, into %s
it is cluster %016x now and goes on from revision %d; start the server on it
other members: start them with empty data directories and this one in their list
`, r.From.Cluster, r.From.Taken.Format("2006-01-02 15:04:05 MST"), r.From.Index, dir, r.Cluster, r.Revision)
	return err
}
