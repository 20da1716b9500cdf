package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// requestLimit is how long a client waits for an answer.
const requestLimit = 4 * time.Second

const group = "CLUSTER"

// refusedError is an answer that is not success.
type refusedError struct {
	status int
	body   string
}

func (e *refusedError) Error() string { return fmt.Sprintf("%d %.200s", e.status, e.body) }

// refused says whether a request certainly did nothing: the server has no leader,
// another content is there, or nobody was reached.
func refused(err error) bool {
	no, ok := errors.AsType[*refusedError](err)
	return ok && (no.status == http.StatusServiceUnavailable || no.body == "false") || errors.Is(err, errUnreached)
}

var errUnreached = errors.New("not connected")

// web is one client with one connection to each member.
type web struct{ http *http.Client }

func newWeb() *web {
	return &web{&http.Client{Timeout: requestLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

func (w *web) close() { w.http.CloseIdleConnections() }

// send makes a request and returns the body of an answer with status 200.
func (w *web) send(ctx context.Context, method, target string, form url.Values, header ...string) (string, error) {
	body := ""
	if form != nil && method != http.MethodPost {
		target += "?" + form.Encode()
	} else {
		body = form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "connection refused") {
			err = fmt.Errorf("%w: %w", errUnreached, err)
		}
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", &refusedError{resp.StatusCode, string(b)}
	}
	return string(b), nil
}

// put sends a text.
func (w *web) put(ctx context.Context, target, text string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, strings.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return &refusedError{resp.StatusCode, ""}
	}
	return nil
}

const configs = "/nacos/v1/cs/configs"

// publish stores a config, on the condition of its present digest when there is
// one.
func (w *web) publish(ctx context.Context, base, name, content, cas string) error {
	var header []string
	if cas != "" {
		header = []string{"Casmd5", cas}
	}
	body, err := w.send(ctx, http.MethodPost, base+configs, url.Values{"dataId": {name}, "group": {group}, "content": {content}}, header...)
	if err == nil && body != "true" {
		err = &refusedError{http.StatusOK, body}
	}
	return err
}

// read returns a config; empty when there is none.
func (w *web) read(ctx context.Context, base, name string) (string, error) {
	body, err := w.send(ctx, http.MethodGet, base+configs, url.Values{"dataId": {name}, "group": {group}})
	if no, ok := errors.AsType[*refusedError](err); ok && no.status == http.StatusNotFound {
		return "", nil
	}
	return body, err
}
