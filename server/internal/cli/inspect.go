package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func versionCommand(s *Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), s.Name, s.Version)
			return err
		},
	}
}

// pluginLine is what plugins prints of a manifest.
type pluginLine struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Listeners []string `json:"listeners,omitempty"`
	Prefixes  []string `json:"prefixes,omitempty"`
}

func pluginsCommand(s *Settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "List the plugins inside this binary",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines := make([]pluginLine, 0, len(s.Manifests))
			for _, m := range s.Manifests {
				l := pluginLine{Name: m.Name, Version: m.Version}
				for _, x := range m.Listeners {
					l.Listeners = append(l.Listeners, x.Name+" "+x.Network+" "+x.Address)
				}
				for _, x := range m.Mounts {
					l.Prefixes = append(l.Prefixes, x.Prefixes...)
				}
				lines = append(lines, l)
			}
			return printPlugins(cmd.OutOrStdout(), lines, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printPlugins(w io.Writer, lines []pluginLine, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(lines)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", l.Name, l.Version, strings.Join(append(l.Listeners, l.Prefixes...), ", ")); err != nil {
			return err
		}
	}
	return nil
}

// healthTimeout is below the time-out of container health checks.
const healthTimeout = 2 * time.Second

// healthCommand asks the server of this configuration whether it is ready.
func healthCommand(s *Settings, src *sourceFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the running server whether it is ready",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			host := v.Text("server.bind")
			if host == "" || host == "0.0.0.0" || host == "::" {
				host = "127.0.0.1"
			}
			url := "http://" + host + ":" + strconv.Itoa(v.Int("nacos.server.main.port")) + "/health/ready"
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				return fmt.Errorf("ask server: %w", err)
			}
			resp, err := (&http.Client{Timeout: healthTimeout}).Do(req)
			if err != nil {
				return fmt.Errorf("ask server: %w", err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
			if err != nil {
				return fmt.Errorf("ask server: %w", err)
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return err
		},
	}
}
