package clustersdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

const configs = "/nacos/v1/cs/configs"

// ask sends one HTTP request and returns status and body.
func ask(ctx context.Context, c *http.Client, method, url string, form url.Values, header map[string]string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// list is what a member answers of a service.
func (s *suite) list(ctx context.Context, n *node.Node, i wire.Item) ([]wire.Instance, error) {
	at := n.URL() + "/nacos/v1/ns/instance/list?serviceName=" + url.QueryEscape(i.Group+"@@"+i.Service)
	status, body, err := ask(ctx, s.http, http.MethodGet, at, nil, nil)
	if err != nil {
		return nil, err
	}
	var found struct {
		Hosts []struct {
			IP       string
			Port     int
			Healthy  bool
			Metadata map[string]string
		}
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%d %s %w", status, body, err)
	}
	var out []wire.Instance
	for _, h := range found.Hosts {
		if !h.Healthy {
			return nil, fmt.Errorf("%s:%d is not healthy", h.IP, h.Port)
		}
		out = append(out, wire.Instance{IP: h.IP, Port: h.Port, Metadata: h.Metadata})
	}
	return out, nil
}

// registered waits until every member that runs lists exactly these instances.
func (s *suite) registered(t *testing.T, i wire.Item, limit time.Duration, want []wire.Instance) time.Duration {
	t.Helper()
	return members.Within(t, limit, "every member lists "+i.Service, func() error {
		for m, n := range s.running() {
			got, err := s.list(t.Context(), n, i)
			if err != nil {
				return fmt.Errorf("member %d: %w", m, err)
			}
			if !same(got, want) {
				return fmt.Errorf("member %d lists %v, want %v", m, keys(got), keys(want))
			}
		}
		return nil
	})
}

// persistent registers an instance that no client answers for.
func (s *suite) persistent(t *testing.T, i wire.Item, ip string) {
	t.Helper()
	form := url.Values{"serviceName": {i.Group + "@@" + i.Service}, "ip": {ip}, "port": {"8080"}, "ephemeral": {"false"}}
	status, body, err := ask(t.Context(), s.http, http.MethodPost, s.Nodes[0].URL()+"/nacos/v1/ns/instance", form, nil)
	if err != nil || status != http.StatusOK || body != "ok" {
		t.Fatalf("register a persistent instance = %d, %q, %v, want ok", status, body, err)
	}
}

// everywhere wants every member that runs to answer a config with the content, at
// once.
func (s *suite) everywhere(t *testing.T, c wire.Item, want string) {
	t.Helper()
	for i, n := range s.running() {
		at := n.URL() + configs + "?group=" + c.Group + "&dataId=" + c.DataID
		if status, got, err := ask(t.Context(), s.http, http.MethodGet, at, nil, nil); err != nil || status != http.StatusOK || got != want {
			t.Errorf("get(%s) of member %d = %d, %q, %v, want %q", c.DataID, i, status, got, err, want)
		}
	}
}

// running are the members whose process runs, by number.
func (s *suite) running() map[int]*node.Node {
	out := map[int]*node.Node{}
	for i, n := range s.Nodes {
		select {
		case <-n.Done():
		default:
			out[i] = n
		}
	}
	return out
}
