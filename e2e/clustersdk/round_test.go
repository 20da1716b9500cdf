package clustersdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// sdkRound is what a client of an SDK does again and again.
func (r *rolling) sdkRound(w *worker) func(context.Context, int) {
	ask := func(cmd wire.Command) (wire.Message, error) {
		cmd.Client = w.client.name
		m, err := w.client.Ask(cmd)
		if err == nil && !m.OK {
			err = fmt.Errorf("%s %s%s: %s", cmd.Op, cmd.DataID, cmd.Service, m.Error)
		}
		return m, err
	}
	get := func(i wire.Item) (string, error) {
		m, err := ask(wire.Command{Op: wire.Get, Item: i})
		if err == nil && m.Content == "" && w.client.shutsFirst != "" { // Java returns null where others throw
			if line := w.client.Logged("get from server error", i.DataID); line != "" {
				err = errors.New(line)
			}
		}
		return m.Content, err
	}
	return func(ctx context.Context, n int) {
		w.try(ctx, func() error {
			_, err := ask(wire.Command{Op: wire.Publish, Item: w.item(n), Content: value(n)})
			if err == nil {
				w.published.Store(int64(n))
			}
			return err
		})
		w.reads(ctx, n, get)
		w.try(ctx, func() error {
			_, err := ask(wire.Command{Op: wire.Register, Item: r.mixed, Instance: w.instance})
			return err
		})
		w.try(ctx, func() error {
			m, err := ask(wire.Command{Op: wire.List, Item: r.mixed})
			return r.whole(m.Instances, err)
		})
	}
}

// httpRound is what a client of a member does over HTTP.
func (r *rolling) httpRound(w *worker) func(context.Context, int) {
	n := r.Nodes[w.member]
	base := n.URL() + configs
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	context.AfterFunc(r.load.ctx, c.CloseIdleConnections)
	request := func(method, url string, form url.Values) (string, error) {
		status, body, err := ask(context.Background(), c, method, url, form, nil)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusNotFound:
			return "", errWrong(fmt.Sprintf("%s %s: %d %s", method, url, status, body))
		case status != http.StatusOK:
			return "", fmt.Errorf("%s %s: %d %s", method, url, status, body)
		}
		return body, nil
	}
	get := func(i wire.Item) (string, error) {
		return request(http.MethodGet, base+"?dataId="+i.DataID+"&group="+i.Group, nil)
	}
	pace := time.NewTicker(2 * time.Millisecond) // it would fail much faster than it succeeds
	return func(ctx context.Context, number int) {
		<-pace.C
		w.try(ctx, func() error {
			i := w.item(number)
			body, err := request(http.MethodPost, base, url.Values{"dataId": {i.DataID}, "group": {i.Group}, "content": {value(number)}})
			if err == nil && body != "true" {
				err = fmt.Errorf("publish %s: %s", i.DataID, body)
			}
			if err == nil {
				w.published.Store(int64(number))
			}
			return err
		})
		w.reads(ctx, number, get)
		w.try(ctx, func() error {
			list, err := r.list(context.Background(), n, r.mixed)
			return r.whole(list, err)
		})
	}
}

// try does one operation and counts it; one that the SDK refuses to begin is none.
func (w *worker) try(ctx context.Context, operation func() error) {
	if ctx.Err() != nil {
		return
	}
	begin := time.Now()
	err := operation()
	if err != nil && w.client.limited != "" && strings.Contains(err.Error(), w.client.limited) {
		return
	}
	if err != nil && w.client.shutsFirst != "" && strings.Contains(err.Error(), w.client.shutsFirst) {
		w.excuse()
		return
	}
	w.note(begin, err)
}

// reads reads the worker's own config, if it was just published, and what the
// worker before it has published last.
func (w *worker) reads(ctx context.Context, n int, get func(wire.Item) (string, error)) {
	read := func(of *worker, last int) {
		if last == 0 {
			return
		}
		w.try(ctx, func() error {
			got, err := get(of.item(last))
			if err != nil {
				return err
			}
			if number(got) < last {
				return errWrong(fmt.Sprintf("%s is %q, %q was acknowledged", of.item(last).DataID, got, value(last)))
			}
			return nil
		})
	}
	if w.published.Load() == int64(n) {
		read(w, n)
	}
	read(w.before, int(w.before.published.Load()))
}

// whole says what is wrong with a list.
func (r *rolling) whole(list []wire.Instance, err error) error {
	if err != nil {
		return err
	}
	if gone := missing(list, r.instances); len(gone) > 0 {
		return errWrong(fmt.Sprintf("list without %v: %v", gone, keys(list)))
	}
	return nil
}
