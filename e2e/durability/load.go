package durability

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	group         = "DURABLE"
	itemsPerOne   = 3  // items of one client
	removeOneIn   = 10 // requests
	requestLimit  = 10 * time.Second
	maxPadding    = 2000 // bytes
	bigOneIn      = 50   // requests, by default
	bigPadding    = 200_000
	contentFormat = "%s #%d of seed %d "
)

// client publishes and removes its items, one request at a time.
type client struct {
	http  *http.Client
	items []*item
	rng   *rand.Rand
	seed  uint64
	sent  int
	big   int // one publish in so many is big
}

func newClient(number int, seed uint64) *client {
	c := &client{
		http: &http.Client{Timeout: requestLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
		rng:  rand.New(rand.NewPCG(seed, uint64(number))),
		seed: seed,
		big:  bigOneIn,
	}
	for i := range itemsPerOne {
		c.items = append(c.items, newItem(fmt.Sprintf("client-%d.item-%d", number, i)))
	}
	return c
}

// write sends requests until one is not acknowledged or the context ends, and
// counts the acknowledged ones. Its error is nil unless the server refused a
// request.
func (c *client) write(ctx context.Context, base string, acked *atomic.Int64) error {
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		it := c.items[c.rng.IntN(len(c.items))]
		state := c.next(it)
		it.send(state)
		err := c.request(base, it.name, state)
		var refused *refusedError
		switch {
		case errors.As(err, &refused):
			return err
		case err != nil:
			return nil // the server died
		}
		it.acknowledged()
		acked.Add(1)
	}
	return nil
}

// next draws a state never used before, or absent.
func (c *client) next(it *item) string {
	c.sent++
	if c.rng.IntN(removeOneIn) == 0 {
		return absent
	}
	padding := c.rng.IntN(maxPadding)
	if c.rng.IntN(c.big) == 0 {
		padding = bigPadding
	}
	return fmt.Sprintf(contentFormat, it.name, c.sent, c.seed) + strings.Repeat("x", padding)
}

// request publishes or removes an item.
func (c *client) request(base, name, state string) error {
	fields := url.Values{"dataId": {name}, "group": {group}}
	if state == absent {
		return c.expectTrue(http.MethodDelete, base+path+"?"+fields.Encode(), "")
	}
	fields.Set("content", state)
	return c.expectTrue(http.MethodPost, base+path, fields.Encode())
}

const path = "/nacos/v1/cs/configs"

// refusedError is an answer that is not success.
type refusedError struct {
	status int
	body   string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("request refused: status %d: %.200s", e.status, e.body)
}

func (c *client) expectTrue(method, target, form string) error {
	req, err := http.NewRequest(method, target, strings.NewReader(form))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := c.do(req)
	if err != nil {
		return err
	}
	if status != http.StatusOK || body != "true" {
		return &refusedError{status, body}
	}
	return nil
}

func (c *client) do(req *http.Request) (int, string, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("send request: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", fmt.Errorf("read answer: %w", err)
	}
	return resp.StatusCode, string(body), nil
}

// read returns the present state of an item.
func (c *client) read(base, name string) (string, error) {
	fields := url.Values{"dataId": {name}, "group": {group}}
	req, err := http.NewRequest(http.MethodGet, base+path+"?"+fields.Encode(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	status, body, err := c.do(req)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusNotFound:
		return absent, nil
	case status != http.StatusOK:
		return "", &refusedError{status, body}
	}
	return body, nil
}

// verify reads every item and lists what is wrong.
func (c *client) verify(base string, judge func(*item, string) error) (problems []error) {
	defer c.http.CloseIdleConnections()
	for _, it := range c.items {
		state, err := c.read(base, it.name)
		if err == nil {
			err = judge(it, state)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}
