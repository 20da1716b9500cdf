package nacossdk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

const (
	// callLimit bounds one call of an SDK, the start of its runtime included.
	callLimit = 60 * time.Second
	// logTail is how much of the log of a driver a failed test shows.
	logTail = 12 << 10
)

// driver is a running child process with one SDK.
//
// It owns a goroutine that reads the child's messages, which ends with the
// child, and the child ends with the test.
type driver struct {
	sdk
	dir string // of the child: its home, its caches and logs

	in   io.WriteCloser
	kill func()        // ends the child and what it started; idempotent
	done chan struct{} // closed when the child has ended

	mu      sync.Mutex // guards what follows
	last    int        // number of the last command
	pending map[int]chan wire.Message
	feeds   map[feedKey]*feed
	log     bytes.Buffer
}

type feedKey struct {
	client string
	item   wire.Item
}

// start runs the driver of the SDK.
func (s sdk) start(t *testing.T) *driver {
	t.Helper()
	d := &driver{
		sdk: s, dir: t.TempDir(), done: make(chan struct{}),
		pending: map[int]chan wire.Message{}, feeds: map[feedKey]*feed{},
	}
	argv := s.argv(d.dir)
	if _, err := os.Stat(cache(s.needs)); err != nil {
		t.Fatalf("%v: run make sdk-drivers first", err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOME="+d.dir)
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
func (d *driver) read(out io.Reader) {
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

func (d *driver) dispatch(m wire.Message) {
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
func (d *driver) feed(client string, item wire.Item) *feed {
	key := feedKey{client, item}
	if d.feeds[key] == nil {
		d.feeds[key] = &feed{more: make(chan struct{}, 1)}
	}
	return d.feeds[key]
}

// call sends a command and returns its answer.
func (d *driver) call(t *testing.T, c wire.Command) wire.Message {
	t.Helper()
	answer := make(chan wire.Message, 1)
	d.mu.Lock()
	d.last++
	c.ID = d.last
	d.pending[c.ID] = answer
	d.mu.Unlock()
	line, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: the driver takes no command: %v", c.Op, err)
	}
	limit := time.NewTimer(callLimit)
	defer limit.Stop()
	select {
	case m := <-answer:
		return m
	case <-d.done:
		t.Fatalf("%s: the driver ended", c.Op)
	case <-limit.C:
		t.Fatalf("%s: no answer within %v", c.Op, callLimit)
	}
	return wire.Message{}
}

func (d *driver) note(text string) { _, _ = logWriter{d}.Write([]byte(text)) }

// files returns the ends of the logs that the SDK wrote into its folder.
func (d *driver) files() string {
	var out bytes.Buffer
	_ = filepath.WalkDir(d.dir, func(path string, e os.DirEntry, err error) error {
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
type logWriter struct{ d *driver }

func (w logWriter) Write(b []byte) (int, error) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	return w.d.log.Write(b)
}

// feed is a queue of events; bounded by the length of a test.
type feed struct {
	mu     sync.Mutex // guards events
	events []wire.Message
	more   chan struct{} // holds one token when there is something new
}

func (f *feed) add(m wire.Message) {
	f.mu.Lock()
	f.events = append(f.events, m)
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// next takes the oldest event.
func (f *feed) next() (wire.Message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		return wire.Message{}, false
	}
	m := f.events[0]
	f.events = f.events[1:]
	return m, true
}
