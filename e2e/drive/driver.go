// Package drive runs the drivers of foreign SDKs (folder sdk beside this one) for
// the end-to-end suites: it starts them, sends them commands and keeps what they
// tell, in the words of package wire.
//
// A Driver owns its child process and the goroutine that reads from it; both end
// with the test.
package drive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

const (
	// CallLimit bounds one call of an SDK, the start of its runtime included.
	CallLimit = 60 * time.Second
	// logTail is how much of the log of a driver a failed test shows.
	logTail = 12 << 10
)

// Driver is a running child process with one SDK.
type Driver struct {
	Dir string // of the child: its home, its caches and logs

	writing sync.Mutex // guards in

	in   io.WriteCloser
	kill func()        // ends the child and what it started; idempotent
	done chan struct{} // closed when the child has ended

	mu      sync.Mutex // guards what follows
	last    int        // number of the last command
	pending map[int]chan wire.Message
	feeds   map[feedKey]*Feed
	log     bytes.Buffer
}

type feedKey struct {
	client string
	item   wire.Item
}

// Start runs the driver of the SDK.
func (s SDK) Start(t *testing.T) *Driver {
	t.Helper()
	d := &Driver{
		Dir: t.TempDir(), done: make(chan struct{}),
		pending: map[int]chan wire.Message{}, feeds: map[feedKey]*Feed{},
	}
	argv := s.argv(d.Dir)
	if _, err := os.Stat(cache(s.needs)); err != nil {
		t.Fatalf("%v: run make sdk-drivers first", err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = d.Dir
	cmd.Env = append(os.Environ(), "HOME="+d.Dir)
	if s.env != nil {
		cmd.Env = append(cmd.Env, s.env(t)...)
	}
	cmd.Stderr = logWriter{d}
	// A group of its own, as some SDKs start processes too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the driver: %v", err)
	}
	d.in = in
	d.kill = sync.OnceFunc(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		d.read(out)
		d.kill() // it closed its output: it is ending, or broken
		_ = cmd.Wait()
		close(d.done)
	}()
	t.Cleanup(func() {
		d.kill()
		<-d.done
		if t.Failed() {
			t.Logf("log of the driver:\n%s\n%s", tail(d.log.Bytes()), d.files())
		}
	})
	return d
}

// read dispatches the messages of the child until its output ends.
func (d *Driver) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m wire.Message
		if err := json.Unmarshal(line, &m); err != nil {
			d.note("no message: " + string(line))
			continue
		}
		d.dispatch(m)
	}
}

func (d *Driver) dispatch(m wire.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Event != "" {
		d.feed(m.Client, m.Item).add(m)
		return
	}
	if answer, ok := d.pending[m.ID]; ok {
		delete(d.pending, m.ID)
		answer <- m
	}
}

// feed returns the events about the item that the client was told; d.mu is held.
func (d *Driver) feed(client string, item wire.Item) *Feed {
	key := feedKey{client, item}
	if d.feeds[key] == nil {
		d.feeds[key] = &Feed{more: make(chan struct{}, 1)}
	}
	return d.feeds[key]
}

// Feed returns the events about the item that the client was told.
func (d *Driver) Feed(client string, item wire.Item) *Feed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.feed(client, item)
}

// Done is closed when the child has ended.
func (d *Driver) Done() <-chan struct{} { return d.done }

// Kill ends the child and what it started; idempotent.
func (d *Driver) Kill() { d.kill() }

// Call sends a command and returns its answer; without one the test ends.
func (d *Driver) Call(t *testing.T, c wire.Command) wire.Message {
	t.Helper()
	m, err := d.Ask(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Ask is Call for any goroutine: an error says that there is no answer.
func (d *Driver) Ask(c wire.Command) (wire.Message, error) {
	answer := make(chan wire.Message, 1)
	if err := d.send(c, answer); err != nil {
		return wire.Message{}, fmt.Errorf("%s: the driver takes no command: %w", c.Op, err)
	}
	limit := time.NewTimer(CallLimit)
	defer limit.Stop()
	select {
	case m := <-answer:
		return m, nil
	case <-d.done:
		return wire.Message{}, fmt.Errorf("%s: the driver ended", c.Op)
	case <-limit.C:
		return wire.Message{}, fmt.Errorf("%s: no answer within %v", c.Op, CallLimit)
	}
}

// send writes one command; the lock keeps lines whole.
func (d *Driver) send(c wire.Command, answer chan wire.Message) error {
	d.mu.Lock()
	d.last++
	c.ID = d.last
	d.pending[c.ID] = answer
	d.mu.Unlock()
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	_, err = d.in.Write(append(line, '\n'))
	return err
}

// Logged is the last line of the child's log that has all of these parts.
func (d *Driver) Logged(parts ...string) (found string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(d.log.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			found = line
		}
	}
	return found
}

func (d *Driver) note(text string) { _, _ = logWriter{d}.Write([]byte(text)) }

// files returns the ends of the logs that the SDK wrote into its folder.
func (d *Driver) files() string {
	var out bytes.Buffer
	_ = filepath.WalkDir(d.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() || filepath.Ext(path) != ".log" {
			return nil
		}
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			out.WriteString("== " + path + "\n")
			out.Write(tail(data))
		}
		return nil
	})
	return out.String()
}

func tail(b []byte) []byte {
	if len(b) > logTail {
		return b[len(b)-logTail:]
	}
	return b
}

// logWriter appends to the log of the driver.
type logWriter struct{ d *Driver }

func (w logWriter) Write(b []byte) (int, error) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	return w.d.log.Write(b)
}
