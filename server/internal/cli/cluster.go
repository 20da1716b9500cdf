package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/easynet-cn/batata/server/internal/admin"
)

// clusterCommand changes the cluster through the server of this machine.
func clusterCommand(s *Settings, src *sourceFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Show and change the cluster, through the server of this machine"}
	cmd.AddCommand(
		listCommand(s, src),
		changeCommand(s, src, "add HOST:PORT", "Let the member with this main address join: it runs, and waits for a cluster", "joined",
			cobra.ExactArgs(1), admin.Add),
		changeCommand(s, src, "remove MEMBER", "Take a member out for good; named by id, name or address", "removed",
			cobra.ExactArgs(1), admin.Remove),
		changeCommand(s, src, "transfer [MEMBER]", "Let another member lead, the one that has come furthest if none is named", "leads",
			cobra.MaximumNArgs(1), admin.Transfer),
		changeCommand(s, src, "init", "Form a cluster although members of the list are silent; on one of them only", "formed",
			cobra.NoArgs, func(ctx context.Context, dir, _ string) error { return admin.Form(ctx, dir) }),
	)
	return cmd
}

func listCommand(s *Settings, src *sourceFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the members, and what a member waits for that is in no cluster",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			l, err := admin.ListMembers(cmd.Context(), v.Text("data_dir"))
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(l)
			}
			return printMembers(cmd.OutOrStdout(), l)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printMembers(w io.Writer, l admin.List) error {
	if l.Waits != "" {
		_, err := fmt.Fprintf(w, "in no cluster; waiting: %s\n", l.Waits)
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "ID\tNAME\tMAIN\tPEER\tSTATE\tROLE\tBREAKER\tVERSION")
	for _, m := range l.Members {
		id := m.ID
		if m.Self {
			id += "*"
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", id, m.Name, m.Main, m.Peer, m.State, m.Role, m.Breaker, m.Version)
	}
	return out.Flush()
}

// changeCommand does one thing to a member.
func changeCommand(
	s *Settings, src *sourceFlags, use, short, done string, args cobra.PositionalArgs, do func(ctx context.Context, dir, member string) error,
) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return refusal{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, given []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			member := ""
			if len(given) > 0 {
				member = given[0]
			}
			if err := do(cmd.Context(), v.Text("data_dir"), member); err != nil {
				if errors.Is(err, admin.ErrNotRunning) {
					return fmt.Errorf("%w (--data-dir names another)", err)
				}
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		},
	}
}
