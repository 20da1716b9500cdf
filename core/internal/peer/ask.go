package peer

import (
	"context"
	"fmt"
	"sync"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// Describe asks who is at an address, on a connection of its own.
func (p *Pool) Describe(ctx context.Context, address string, q *peerv1.DescribeRequest) (r *peerv1.DescribeReply, err error) {
	err = p.ask(address, func(c peerv1.PeerClient) (err error) {
		r, err = c.Describe(ctx, q)
		return err
	})
	return r, err
}

// Join asks the member at an address to let this one in.
func (p *Pool) Join(ctx context.Context, address string, profile *peerv1.Profile) (r *peerv1.JoinReply, err error) {
	err = p.ask(address, func(c peerv1.PeerClient) (err error) {
		r, err = c.Join(ctx, &peerv1.JoinRequest{Member: p.o.Self.Member(), Profile: profile})
		return err
	})
	return r, err
}

// ask calls a member whose id is not known yet.
func (p *Pool) ask(address string, call func(peerv1.PeerClient) error) error {
	var mu sync.Mutex
	var why error
	conn, err := p.client(address, 0, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		why = err
	}, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	if err := call(peerv1.NewPeerClient(conn)); err != nil {
		mu.Lock()
		defer mu.Unlock()
		if why != nil {
			err = why // says more than that there is no connection
		}
		return fmt.Errorf("ask %s: %w", address, err)
	}
	return nil
}
