package lookup

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// NAD-CLU-02: what operators have in their files.
func TestParse(t *testing.T) {
	tests := map[string]struct {
		text string
		want string // by blanks; "!" and a word of the error
	}{
		"lines":           {"10.0.0.2:8848\n10.0.0.1:8848\n", "10.0.0.1:8848 10.0.0.2:8848"},
		"default port":    {"b\na", "a:7 b:7"},
		"commas":          {"a,b:1, c", "a:7 b:1 c:7"},
		"blanks":          {"a b:1\tc", "a:7 b:1 c:7"},
		"comments":        {"# all\na # the first\n#b\n", "a:7"},
		"raft port":       {"a:8848?raft_port=7848", "a:8848"},
		"ipv6":            {"[::1]:9 ::2 [fe80::1]", "[::1]:9 [::2]:7 [fe80::1]:7"},
		"windows":         {"a\r\nb\r\n", "a:7 b:7"},
		"twice":           {"A:7 a", "a:7"},
		"nothing":         {"\n # \n", ""},
		"port":            {"a:x", "!port"},
		"port 0":          {"a:0", "!port"},
		"large port":      {"a:65536", "!port"},
		"no host":         {":8848", "!host"},
		"url":             {"http://a:1", "!host"},
		"unclosed":        {"[::1", "!]"},
		"behind the ]":    {"[::1]x", "!want"},
		"not an address":  {"a:b:c", "!host"},
		"far too many":    {strings.Join(many(256), ","), "!256"},
		"as many as fits": {strings.Join(many(2), ","), "h0:7 h1:7"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tt.text, 7)
			if word, fails := strings.CutPrefix(tt.want, "!"); fails {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("Parse() = %v, %v, want an error with %q", got, err, word)
				}
				return
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("Parse() = %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func many(n int) (out []string) {
	for i := range n {
		out = append(out, "h"+strings.TrimLeft(string(rune('0'+i%10))+strings.Repeat("x", i/10), ""))
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a:1,b", "[::1]:2 # x\nc?raft_port=1", "::1", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text, 8848)
		if err != nil {
			return
		}
		again, err := Parse(strings.Join(list, "\n"), 1)
		if err != nil || !slices.Equal(list, again) {
			t.Errorf("Parse(%q) = %q, which reads as %q, %v", text, list, again, err)
		}
	})
}

func TestMembers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.conf")
	if err := os.WriteFile(file, []byte("a:8848\nb"), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("c:8848\n"))
	}))
	defer srv.Close()
	for name, tt := range map[string]struct {
		source Source
		want   string
		err    string
	}{
		"inline":            {Source{List: "x:1, y"}, "x:1002 y:9849", ""},
		"file":              {Source{File: file}, "a:9849 b:9849", ""},
		"no file":           {Source{File: file + "x"}, "", "no such file"},
		"address server":    {Source{URL: srv.URL, Retry: 2}, "c:9849", ""},
		"nobody":            {Source{List: " # "}, "", "names nobody"},
		"port out of range": {Source{List: "x:65000"}, "", "no port"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.source
			s.MainPort, s.Offset, s.Logger = 8848, 1001, zap.NewNop()
			got, err := s.Members(t.Context())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Members() = %v, %v, want %q", got, err, tt.err)
				}
				return
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("Members() = %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// A file that changes is read again; one that is broken leaves things as they are.
func TestWatch(t *testing.T) {
	t.Parallel() // it waits for the watcher
	file := filepath.Join(t.TempDir(), "cluster.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	s := &Source{File: file, MainPort: 1, Offset: 1, Logger: zap.NewNop()}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes := make(chan []string, 4)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, []string{"a:2"}, func(l []string) { changes <- l })
	}()
	write("a:x")
	write("a b")
	select {
	case l := <-changes:
		if !slices.Equal(l, []string{"a:2", "b:2"}) {
			t.Errorf("changed to %v", l)
		}
	case <-ctx.Done():
		t.Error("the change was not seen")
	}
	cancel()
	<-done
}
