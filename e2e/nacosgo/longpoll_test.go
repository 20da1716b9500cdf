package nacosgo

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/node"
)

const (
	stx = "\x02"
	soh = "\x01"
)

// polled is the answer of one poll.
type polled struct {
	status int
	body   string
	header http.Header
	took   time.Duration
}

// line is one listened item, with the tenant when it is not "-".
func line(name, content, tenant string) string {
	digest := ""
	if content != "" {
		sum := md5.Sum([]byte(content))
		digest = hex.EncodeToString(sum[:])
	}
	text := name + stx + group + stx + digest
	if tenant != "-" {
		text += stx + tenant
	}
	return text + soh
}

// poll sends one long poll and returns its answer on a channel.
func poll(t *testing.T, n *node.Node, lines string, headers map[string]string) <-chan polled {
	t.Helper()
	form := url.Values{"Listening-Configs": {lines}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL()+"/nacos/v1/cs/configs/listener", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	out := make(chan polled, 1)
	begin := time.Now()
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			out <- polled{body: err.Error()}
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		out <- polled{resp.StatusCode, string(body), resp.Header, time.Since(begin)}
	}()
	return out
}

func post(t *testing.T, n *node.Node, form url.Values) {
	t.Helper()
	resp, err := http.PostForm(n.URL()+"/nacos/v1/cs/configs", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != "true" {
		t.Fatalf("publish = %d %q, want true", resp.StatusCode, body)
	}
}

func item(name, content, tenant string) url.Values {
	v := url.Values{"dataId": {name}, "group": {group}, "content": {content}}
	if tenant != "-" {
		v.Set("tenant", tenant)
	}
	return v
}

// parked waits until the server holds a poll of the item, as its list of
// listeners shows.
func parked(t *testing.T, n *node.Node, name, tenant string) {
	t.Helper()
	q := url.Values{"dataId": {name}, "group": {group}}
	if tenant != "-" {
		q.Set("tenant", tenant)
	}
	eventually(t, "the poll of "+name+" is held", func() bool {
		resp, err := http.Get(n.URL() + "/nacos/v1/cs/configs/listener?" + q.Encode())
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(body), `"127.0.0.1"`)
	})
}

var hold = map[string]string{"Long-Pulling-Timeout": "30000"}

// NAC-H1C-34, 37: what differs is answered at once, percent-encoded, the tenant
// only for those who sent one.
func TestPollDiffers(t *testing.T) {
	n := node.Run(t, node.Options{})
	post(t, n, item("a", "1", "-"))
	tests := map[string]struct{ lines, want string }{
		"new to the client": {line("a", "", "-"), "a%02DEFAULT_GROUP%01\n"},
		"old content":       {line("a", "0", "-"), "a%02DEFAULT_GROUP%01\n"},
		"tenant echoed":     {line("a", "0", "public"), "a%02DEFAULT_GROUP%02public%01\n"},
		"one of two":        {line("a", "1", "-") + line("b", "x", "-"), "b%02DEFAULT_GROUP%01\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := <-poll(t, n, tt.lines, hold)
			if got.status != http.StatusOK || got.body != tt.want {
				t.Errorf("poll = %d %q, want %q", got.status, got.body, tt.want)
			}
		})
	}
}

// NAC-H1C-35, NAC-PRF-03: a change wakes the poll with that one key.
func TestPollWakes(t *testing.T) {
	n := node.Run(t, node.Options{})
	post(t, n, item("a", "1", "dev"))
	post(t, n, item("b", "1", "dev"))
	answer := poll(t, n, line("a", "1", "dev")+line("b", "1", "dev"), hold)
	parked(t, n, "b", "dev")
	post(t, n, item("b", "2", "dev"))
	got := <-answer
	if want := "b%02DEFAULT_GROUP%02dev%01\n"; got.status != http.StatusOK || got.body != want {
		t.Errorf("poll = %d %q, want %q", got.status, got.body, want)
	}
	if h := got.header.Get("Cache-Control"); h != "no-cache,no-store" {
		t.Errorf("Cache-Control = %q, want no-cache,no-store", h)
	}
}

// NAC-H1C-33: no hang-up.
func TestPollNoHangup(t *testing.T) {
	n := node.Run(t, node.Options{})
	post(t, n, item("a", "1", "-"))
	got := <-poll(t, n, line("a", "1", "-"), map[string]string{"Long-Pulling-Timeout": "30000", "Long-Pulling-Timeout-No-Hangup": "true"})
	if got.status != http.StatusOK || got.body != "" || got.took > 5*time.Second {
		t.Errorf("poll = %d %q after %v, want nothing at once", got.status, got.body, got.took)
	}
}

// NAC-H1C-32, 36: the shortest hold is 10 s, and its end an empty answer.
func TestPollTimesOut(t *testing.T) {
	n := node.Run(t, node.Options{})
	post(t, n, item("a", "1", "-"))
	got := <-poll(t, n, line("a", "1", "-"), map[string]string{"Long-Pulling-Timeout": "5000"})
	if got.status != http.StatusOK || got.body != "" || got.took < 10*time.Second {
		t.Errorf("poll = %d %q after %v, want nothing, not before 10 s", got.status, got.body, got.took)
	}
}
