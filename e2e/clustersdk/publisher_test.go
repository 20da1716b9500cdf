package clustersdk

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// publisher changes one config over HTTP again and again, with rising numbers. A
// number replaces the one before or nothing (casMd5), so the server's history is
// 1, 2, 3, … however often a publish had to be tried.
//
// It owns one goroutine, from begin to end.
type publisher struct {
	item   wire.Item
	nodes  []*node.Node
	http   *http.Client
	period time.Duration

	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex // held while a number is on its way; guards what follows
	last int        // the last number that is there
	at   int        // member it writes through
}

func value(n int) string { return "number " + strconv.Itoa(n) }

func (p *publisher) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		tick := time.NewTicker(p.period)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.mu.Lock()
				_ = p.next(ctx) // it ends with ctx
				p.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (p *publisher) end() {
	p.cancel()
	<-p.done
}

// next publishes the next number, whatever happens to members meanwhile; it
// returns when it is there or ctx ends.
func (p *publisher) next(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.publish(ctx, p.last+1)
		if err == nil {
			p.last++
			return nil
		}
		p.at = (p.at + 1) % len(p.nodes)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// publish tries once. Of a try before that was not answered the number may be
// there already.
func (p *publisher) publish(ctx context.Context, n int) error {
	sum := md5.Sum([]byte(value(n - 1)))
	header := map[string]string{}
	if n > 1 {
		header["casMd5"] = hex.EncodeToString(sum[:])
	}
	form := url.Values{"dataId": {p.item.DataID}, "group": {p.item.Group}, "content": {value(n)}}
	base := p.nodes[p.at].URL() + configs
	status, body, err := ask(ctx, p.http, http.MethodPost, base, form, header)
	if err == nil && status == http.StatusOK && body == "true" {
		return nil
	}
	query := "?dataId=" + p.item.DataID + "&group=" + p.item.Group
	if status, now, readErr := ask(ctx, p.http, http.MethodGet, base+query, nil, nil); readErr == nil && status == http.StatusOK && now == value(n) {
		return nil
	}
	return fmt.Errorf("publish %d: %d %s %w", n, status, body, err)
}

// number reads a value; -1 when it is none.
func number(content string) int {
	text, ok := strings.CutPrefix(content, "number ")
	if n, err := strconv.Atoi(text); ok && err == nil {
		return n
	}
	return -1
}
