package durability

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/losefs"
	"github.com/easynet-cn/batata/e2e/node"
)

// standIn is the environment variable that makes the test binary a small
// server with the three requests the load uses, honest or broken in one way.
const standIn = "DURABILITY_STAND_IN"

const (
	honest    = "honest"     // syncs, then answers
	unsynced  = "unsynced"   // answers without ever syncing
	nameless  = "nameless"   // never syncs the directory of its log
	early     = "early"      // answers first and syncs later
	forgetful = "forgetful"  // does not write removals down
	ignorant  = "ignorant"   // goes on after a failed sync
	stale     = "stale-read" // ignores the newest record when it starts
)

// broken keeps every item in memory and each change as a line of a log.
type broken struct {
	kind string

	mu    sync.Mutex // guards the rest
	items map[string]string
	log   *os.File
}

type record struct{ Name, State string }

// serve is the main function of the stand-in.
func serve(kind string, args []string) int {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "")
	port := ""
	flags.Func("set", "", func(s string) error {
		if p, ok := strings.CutPrefix(s, "nacos.server.main.port="); ok {
			port = p
		}
		return nil
	})
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	b := &broken{kind: kind, items: map[string]string{}}
	if err := b.open(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nacos/v3/admin/core/state/readiness", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"code":0}`)
	})
	mux.HandleFunc("POST "+path, b.change)
	mux.HandleFunc("DELETE "+path, b.change)
	mux.HandleFunc("GET "+path, b.get)
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, mux))
	return 1
}

func (b *broken) open(dir string) error {
	name := filepath.Join(dir, "log")
	data, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	lines := strings.Split(string(data), "\n")
	lines = lines[:len(lines)-1] // behind the last newline is nothing or a torn record
	if b.kind == stale && len(lines) > 0 {
		lines = lines[:len(lines)-1]
	}
	kept := 0
	for _, line := range lines {
		var r record
		if json.Unmarshal([]byte(line), &r) != nil {
			break
		}
		b.items[r.Name] = r.State
		kept += len(line) + 1
	}
	if b.log, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := b.log.Truncate(int64(kept)); err != nil {
		return err
	}
	if _, err := b.log.Seek(0, io.SeekEnd); err != nil || b.kind == nameless {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (b *broken) change(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rec := record{r.FormValue("dataId"), r.FormValue("content")}
	if b.kind != forgetful || rec.State != absent {
		err := b.keep(rec)
		if errors.Is(err, syscall.ENOSPC) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if err != nil && b.kind != ignorant {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	b.items[rec.Name] = rec.State
	_, _ = io.WriteString(w, "true")
}

// keep appends a record to the log.
func (b *broken) keep(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	end, err := b.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := b.log.Write(append(line, '\n')); err != nil {
		return errors.Join(err, b.log.Truncate(end)) // part of it may be written
	}
	switch b.kind {
	case unsynced:
		return nil
	case early:
		time.AfterFunc(20*time.Millisecond, func() { _ = b.log.Sync() })
		return nil
	}
	return b.log.Sync()
}

func (b *broken) get(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.items[r.FormValue("dataId")]
	if state == absent {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, state)
}

// TestHarness proves the checks on the stand-in: nothing is reported of the
// honest one, something of each broken one.
func TestHarness(t *testing.T) {
	for _, tt := range []struct {
		kind  string
		fails bool // in some round
	}{
		{honest, false},
		{unsynced, true},
		{nameless, true},
		{early, true},
		{forgetful, true},
		{ignorant, true},
		{stale, true},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			var found error
			for seed := range uint64(6) {
				if err := standInRound(t, tt.kind, seed); err != nil {
					found = err
					break
				}
			}
			if (found != nil) != tt.fails {
				t.Errorf("problem found = %v, want one: %t", found, tt.fails)
			}
		})
	}
}

// TestHarnessOnHonest runs the tests of the server on the honest stand-in.
func TestHarnessOnHonest(t *testing.T) {
	o := node.Options{Binary: os.Args[0], Env: []string{standIn + "=" + honest}}
	t.Run("killed", func(t *testing.T) { killRounds(t, 16, 3, o) })
	t.Run("failed sync", func(t *testing.T) { failedSync(t, o) })
	t.Run("full disk", func(t *testing.T) { fullDisk(t, o) })
}

// standInRound is two lives of a stand-in: the second one starts on a log and,
// for the ignorant one, meets a failed sync.
func standInRound(t *testing.T, kind string, seed uint64) error {
	t.Helper()
	s := newSite(t, 4, seed, node.Options{Binary: os.Args[0], Env: []string{standIn + "=" + kind}})
	for life := range 2 {
		s.start()
		s.load(func(acked int64, since time.Duration) bool {
			if kind == ignorant && acked == 10 {
				s.disk.FailSyncs(1)
			}
			return acked >= minAcked || since >= roundLimit
		})
		s.crash(losefs.All)
		s.start()
		if err := s.verify(); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		s.node.Kill()
	}
	return nil
}

func TestItem(t *testing.T) {
	tests := map[string]struct {
		known []string // each state sent; a leading + means acknowledged
		found string
		good  bool
	}{
		"nothing happened":            {nil, absent, true},
		"from nowhere":                {nil, "x", false},
		"acknowledged":                {[]string{"+a"}, "a", true},
		"acknowledged and lost":       {[]string{"+a"}, absent, false},
		"uncertain, done":             {[]string{"+a", "b"}, "b", true},
		"uncertain, not done":         {[]string{"+a", "b"}, "a", true},
		"older than the acknowledged": {[]string{"+a", "b", "+c"}, "b", false},
		"removed":                     {[]string{"+a", "+"}, absent, true},
		"removal lost":                {[]string{"+a", "+"}, "a", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			it := newItem("i")
			for _, k := range tt.known {
				state, acked := strings.CutPrefix(k, "+")
				it.send(state)
				if acked {
					it.acknowledged()
				}
			}
			if err := it.allows(tt.found); (err == nil) != tt.good {
				t.Errorf("allows(%q) after %q = %v, want good: %t", tt.found, tt.known, err, tt.good)
			}
			if err := it.found(tt.found); (err == nil) != tt.good {
				t.Errorf("found(%q) after %q = %v, want good: %t", tt.found, tt.known, err, tt.good)
			}
			if err := it.found(tt.found); err != nil {
				t.Errorf("found(%q) again = %v, want no error", tt.found, err)
			}
		})
	}
}
