package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	dockerfile = "../../Dockerfile"
	binary     = "../../bin/batata"
	password   = "a long password"
)

// layout builds the file tree of the image and returns it with its stage.
func layout(t *testing.T) (root string, s stage, uid int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("a chroot needs root")
	}
	s, err := parse(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	if s.base != "scratch" || !slices.Equal(s.copies, []string{"/etc/ssl/certs/", "/app"}) {
		t.Fatalf("stage = %+v: the layout of this test is out of date", s)
	}
	name, _, _ := strings.Cut(s.user, ":")
	if uid, err = strconv.Atoi(name); err != nil || uid == 0 {
		t.Fatalf("USER %s: want a number other than root", s.user)
	}
	root = t.TempDir()
	for _, dir := range []string{"etc/ssl/certs", "app/bin", "app/conf", "app/data", "run/secrets", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, binary, filepath.Join(root, "app/bin/batata"), 0o755)
	copyFile(t, "../../conf/application.yml.example", filepath.Join(root, "app/conf/application.yml.example"), 0o644)
	for _, dir := range []string{"app", "app/bin", "app/conf", "app/data"} {
		if err := os.Chown(filepath.Join(root, dir), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	for d := root; d != "/"; d = filepath.Dir(d) { // the temp dir lets nobody else pass
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o005 != 0o005 && strings.HasPrefix(d, os.TempDir()) { //nolint:usetesting // compared, not used
			_ = os.Chmod(d, 0o755)
		}
	}
	return root, s, uid
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	if err := os.WriteFile(to, b, mode); err != nil {
		t.Fatal(err)
	}
}

// command runs a program of the image as its user inside the chroot.
func command(root string, s stage, uid int, argv []string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(slices.Clone(s.env), env...)
	cmd.Dir = s.workdir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// freePair finds a port that is free together with the one 1000 above it.
func freePair(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if above, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1000)); err == nil {
			_ = above.Close()
			return port
		}
	}
	t.Fatal("no free pair of ports")
	return 0
}

// The image starts as it is shipped: authentication on, the first administrator
// from a secret file, healthy by its own health check, and it stops on SIGTERM.
func TestImage(t *testing.T) {
	root, s, uid := layout(t)
	if err := os.WriteFile(filepath.Join(root, "run/secrets/admin-password"), []byte(password+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePair(t)
	env := []string{"BATATA_ADMIN_PASSWORD_FILE=/run/secrets/admin-password", fmt.Sprintf("NACOS_SERVER_MAIN_PORT=%d", port), "BATATA_SERVER_DRAIN=0s", "BATATA_SERVER_BIND=127.0.0.1", "container=chroot"}
	cmd, out := command(root, s, uid, append(slices.Clone(s.entrypoint), s.cmd...), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	healthy := func() bool {
		check, _ := command(root, s, uid, s.health, env...)
		return check.Run() == nil
	}
	deadline := time.Now().Add(15 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !healthy() {
		select {
		case err := <-done:
			t.Fatalf("the server ended: %v\n%s", err, out)
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			<-done
			t.Fatalf("not healthy in time\n%s", out)
		}
	}
	login(t, port)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("stop = %v, want exit code 0\n%s", err, out)
	}
}

// login shows that logins are asked for and that the secret opens the door.
func login(t *testing.T, port int) {
	t.Helper()
	base := fmt.Sprintf("http://127.0.0.1:%d/nacos", port)
	resp, err := http.Get(base + "/v1/cs/configs?dataId=a&group=b")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("read without a login = %d, want 403", resp.StatusCode)
	}
	resp, err = http.PostForm(base+"/v1/auth/users/login", url.Values{"username": {"nacos"}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"accessToken"`) || !strings.Contains(string(body), `"globalAdmin":true`) {
		t.Errorf("login = %d %s, want a token of an administrator", resp.StatusCode, body)
	}
}

// PRD-05: in a container, a server that would answer its own loopback only
// refuses to start, with exit code 2, and names both ways out.
func TestImageRefusesLoopbackOnly(t *testing.T) {
	root, s, uid := layout(t)
	env := []string{"NACOS_CORE_AUTH_ENABLED=false", fmt.Sprintf("NACOS_SERVER_MAIN_PORT=%d", freePair(t)), "container=chroot"}
	cmd, out := command(root, s, uid, append(slices.Clone(s.entrypoint), s.cmd...), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		exit = e
	}
	if exit == nil || exit.ExitCode() != 2 {
		t.Errorf("start without authentication = %v, want exit code 2\n%s", err, out)
	}
	for _, way := range []string{"nacos.core.auth.enabled", "server.allow_unauthenticated"} {
		if !strings.Contains(out.String(), way) {
			t.Errorf("output = %q, want %s named", out, way)
		}
	}
}
