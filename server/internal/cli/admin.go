package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/easynet-cn/batata/server/internal/admin"
	"github.com/easynet-cn/batata/server/internal/conf"
)

// adminUser is the name clients of the first administrator know (NAD-AUTH-72).
const adminUser = "nacos"

// The variables that name the first administrator's password (PRD-12).
const (
	envPasswordFile = "BATATA_ADMIN_PASSWORD_FILE"
	envPassword     = "BATATA_ADMIN_PASSWORD"
)

func adminCommand(s *Settings, src *sourceFlags) *cobra.Command {
	var user string
	initCmd := &cobra.Command{
		Use:   "init",
		Short: "Create the first administrator; the password is read from the terminal or standard input",
		Args:  refuseArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := src.load(s)
			if err != nil {
				return err
			}
			password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return s.initAdmin(cmd.Context(), v, user, password)
		},
	}
	initCmd.Flags().StringVar(&user, "user", adminUser, "name of the administrator")
	cmd := &cobra.Command{Use: "admin", Short: "Administer the server of this machine"}
	cmd.AddCommand(initCmd, raftCommand(s, src))
	return cmd
}

// initAdmin goes through the socket of a running server, else opens the data of
// the stopped one.
func (s *Settings) initAdmin(ctx context.Context, v *conf.Values, user string, password []byte) error {
	err := admin.Init(ctx, v.Text("data_dir"), user, password)
	if errors.Is(err, admin.ErrNotRunning) {
		err = s.InitOffline(ctx, v, user, password)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "administrator %s created\n", user)
	return err
}

// readPassword asks twice on a terminal, and reads one line elsewhere.
func readPassword(in io.Reader, prompt io.Writer) ([]byte, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 4<<10)).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read password: %w", err)
		}
		return bytes.TrimRight(line, "\r\n"), nil
	}
	ask := func(text string) ([]byte, error) {
		_, _ = fmt.Fprint(prompt, text)
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(prompt)
		return b, err
	}
	first, err := ask("Password: ")
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	second, err := ask("Again: ")
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the passwords differ")
	}
	return first, nil
}

// FirstPassword returns the password that the environment gives to the first
// administrator, the file first; nil when it gives none.
func FirstPassword(env func(string) (string, bool)) (user string, password []byte, err error) {
	if path, ok := env(envPasswordFile); ok && path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", envPasswordFile, err)
		}
		return adminUser, bytes.TrimRight(b, "\r\n"), nil
	}
	if p, ok := env(envPassword); ok && strings.TrimSpace(p) != "" {
		return adminUser, []byte(p), nil
	}
	return "", nil, nil
}
