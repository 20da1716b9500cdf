// Package lookup finds the configured members of a cluster: inline, in a file, or
// at an address server (NAD-CLU-01..03). All three have one form: one member per
// line or comma, host:port of its main port, comments behind #.
//
// The list is where a member looks for its cluster; who is in it is the cluster's
// own knowledge (core.Peer).
//
// A Source owns no goroutine: Watch runs in its caller's.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Source is where the list is. Exactly one of List, File and URL is set.
type Source struct {
	List  string
	File  string
	URL   string
	Retry int // attempts at start, of URL
	// MainPort is the port of members that are listed without one.
	MainPort int
	// Offset is what the peer port of a member lies above its main port.
	Offset int
	Logger *zap.Logger
}

const (
	fileEvery   = 3 * time.Second
	urlEvery    = 5 * time.Second
	urlTimeout  = 3 * time.Second
	urlFailures = 12 // in a row, after which it is said (NAD-CLU-03)
	maxList     = 1 << 20
	maxMembers  = 255
)

// Members returns the peer addresses of the list as it is now.
func (s *Source) Members(ctx context.Context) ([]string, error) {
	attempts := 1
	if s.URL != "" {
		attempts = max(1, s.Retry)
	}
	var list []string
	var err error
	for i := range attempts {
		if i > 0 {
			if err := pause(ctx, time.Second); err != nil {
				return nil, err
			}
		}
		if list, err = s.read(ctx); err == nil {
			return list, nil
		}
	}
	return nil, err
}

func (s *Source) read(ctx context.Context) ([]string, error) {
	text, err := s.text(ctx)
	if err != nil {
		return nil, fmt.Errorf("list of members: %w", err)
	}
	mains, err := Parse(text, s.MainPort)
	if err != nil {
		return nil, fmt.Errorf("list of members: %s: %w", s, err)
	}
	if len(mains) == 0 {
		return nil, fmt.Errorf("list of members: %s names nobody", s)
	}
	out := make([]string, len(mains))
	for i, m := range mains {
		if out[i], err = Shift(m, s.Offset); err != nil {
			return nil, fmt.Errorf("list of members: %s: %w", s, err)
		}
	}
	return out, nil
}

// String implements fmt.Stringer.
func (s *Source) String() string {
	switch {
	case s.File != "":
		return s.File
	case s.URL != "":
		return s.URL
	}
	return "nacos.member.list"
}

func (s *Source) text(ctx context.Context) (string, error) {
	switch {
	case s.File != "":
		f, err := os.Open(s.File)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return limited(f)
	case s.URL != "":
		return s.fetch(ctx)
	}
	return s.List, nil
}

func (s *Source) fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, urlTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", s.URL, resp.Status)
	}
	return limited(resp.Body)
}

func limited(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err == nil && len(b) > maxList {
		err = errors.New("longer than a megabyte")
	}
	return string(b), err
}

// Watch calls changed with each list that differs from the one before, until ctx
// ends. A list that cannot be read leaves things as they are.
func (s *Source) Watch(ctx context.Context, before []string, changed func([]string)) {
	every := fileEvery
	switch {
	case s.URL != "":
		every = urlEvery
	case s.File == "":
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, err := s.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures == 1 || failures == urlFailures {
				s.Logger.Warn("list of members not read, the present one stays", zap.Error(err), zap.Int("failures", failures))
			}
		case !slices.Equal(now, before):
			s.Logger.Info("list of members changed", zap.Strings("members", now))
			changed(now)
			before, failures = now, 0
		default:
			failures = 0
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Parse reads a list: members are parted by lines, commas or blanks (NAD-CLU-02).
// The result is sorted, without repetitions.
func Parse(text string, port int) ([]string, error) {
	var out []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, item := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
			m, err := member(item, port)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > maxMembers {
		return nil, fmt.Errorf("%d members, want at most %d", len(out), maxMembers)
	}
	return out, nil
}

// member is one address with its port.
func member(item string, port int) (string, error) {
	address, _, _ := strings.Cut(item, "?") // ?raft_port=7848 of another server
	host, p := address, strconv.Itoa(port)
	switch {
	case strings.HasPrefix(address, "["):
		h, rest, ok := strings.Cut(address[1:], "]")
		if !ok {
			return "", fmt.Errorf("member %q: no ] behind the address", item)
		}
		host = h
		if rest != "" {
			if rest[0] != ':' {
				return "", fmt.Errorf("member %q: want [address]:port", item)
			}
			p = rest[1:]
		}
	case strings.Count(address, ":") == 1:
		host, p, _ = strings.Cut(address, ":")
	}
	if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("member %q: port %q", item, p)
	}
	if host == "" || strings.ContainsAny(host, "/[]@") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", fmt.Errorf("member %q: host %q", item, host)
	}
	return net.JoinHostPort(strings.ToLower(host), p), nil
}

// Shift returns an address whose port lies higher by offset.
func Shift(address string, offset int) (string, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(p)
	if err != nil || n+offset < 1 || n+offset > 65535 {
		return "", fmt.Errorf("member %s: no port %s%+d", address, p, offset)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+offset)), nil
}
