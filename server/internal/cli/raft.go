package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/easynet-cn/batata/core"
)

// raftCommand looks at the data of a stopped server, and mends it.
func raftCommand(s *Settings, src *sourceFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "raft", Short: "Verify and repair the data directory of a server that is stopped"}
	cmd.AddCommand(verifyCommand(s, src), truncateCommand(s, src), newClusterCommand(s, src))
	return cmd
}

func verifyCommand(s *Settings, src *sourceFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read every byte of the data directory and say what is damaged, what is lost, and how to go on",
		Long: `Read every page and row of state.db and every frame of the log, and change nothing.
Exit code 3: something is damaged, and the last line says how to go on.`,
		Args: refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			r, err := core.VerifyData(v.Text("data_dir"))
			if err != nil {
				return err
			}
			return printReport(cmd.OutOrStdout(), &r)
		},
	}
}

// damage is an error of what was read, not of reading it.
type damage struct{ error }

func (damage) ExitCode() int   { return exitDamaged }
func (d damage) Unwrap() error { return d.error }

func printReport(w io.Writer, r *core.DataReport) error {
	ids := make([]string, len(r.Members))
	for i, id := range r.Members {
		ids[i] = fmt.Sprintf("%016x", id)
	}
	if _, err := fmt.Fprintf(w, `cluster      %016x
member       %016x
members      %s
state.db     entry %d, revision %d, %d rows, %d bytes
rows         %s
last entry   %d
`, r.Cluster, r.Member, strings.Join(ids, " "), r.Entry, r.Revision, r.Rows, r.Bytes, r.Digest, r.Last); err != nil {
		return err
	}
	for _, p := range r.Problems {
		if _, err := fmt.Fprintf(w, "damaged      %s\n", p); err != nil {
			return err
		}
	}
	if len(r.Problems) > 0 {
		return damage{errors.New(r.Advice)}
	}
	_, err := fmt.Fprintln(w, "nothing is damaged")
	return err
}

const loseAfter = "lose-after"

func truncateCommand(s *Settings, src *sourceFlags) *cobra.Command {
	var after uint64
	cmd := &cobra.Command{
		Use:   "truncate",
		Short: "Put a damaged log aside and go on with every entry that is within reach",
		Long: `Put the damaged log of a server that is alone aside, bring state.db to the last
entry within reach, and begin a new log there. Where acknowledged writes are lost with
it, --lose-after has to name the last entry that is left, as batata admin raft verify
does; revisions then go on 2^32 higher, since clients have seen more than is left.

A member of a cluster is not mended this way: the others have what it lost.`,
		Args: refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			return printRepaired(cmd, v.Text("data_dir"), after, core.TruncateLog)
		},
	}
	cmd.Flags().Uint64Var(&after, loseAfter, 0, "accept the loss of everything written after this entry")
	return cmd
}

func newClusterCommand(s *Settings, src *sourceFlags) *cobra.Command {
	var after uint64
	var lose bool
	cmd := &cobra.Command{
		Use:   "force-new-cluster",
		Short: "Make a cluster of one out of a member whose cluster has lost its majority for ever",
		Long: `Make a cluster of one, with an id of its own, out of the member whose data directory
this is. Run it on ONE of the members that are left, with all servers stopped, and on
the one whose last entry is the highest: batata admin raft verify tells it. What others
have acknowledged and this one does not have is lost.

The other members must never start on their data again. Empty their directories, then
they join the new cluster; it refuses them as long as they have their old data.`,
		Args: refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			if !lose {
				r, err := core.VerifyData(v.Text("data_dir"))
				if err != nil {
					return err
				}
				return refusal{fmt.Errorf("nothing was changed: this makes a cluster of one out of this member, whose last entry is %d, "+
					"and forgets the other %d; what they have acknowledged beyond that is lost, and they must never start on their data again; "+
					"if the majority is gone for ever, add --lose-members", r.Last, max(0, len(r.Members)-1))}
			}
			return printRepaired(cmd, v.Text("data_dir"), after, core.ForceNewCluster)
		},
	}
	cmd.Flags().BoolVar(&lose, "lose-members", false, "accept that the other members, and what only they have, are lost")
	cmd.Flags().Uint64Var(&after, loseAfter, 0, "with a damaged log: accept the loss of everything written after this entry")
	return cmd
}

func printRepaired(cmd *cobra.Command, dir string, after uint64, do func(context.Context, string, uint64) (core.Repaired, error)) error {
	r, err := do(cmd.Context(), dir, after)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "cluster %016x goes on behind entry %d, revision %d; the old log is %s\n", r.Cluster, r.Entry, r.Revision, r.Aside)
	return err
}
