package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/easynet-cn/batata/core/internal/raftnode"
	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

// stallAfter ends a snapshot that gets nowhere: the state it pins cannot be
// cleaned up meanwhile.
const stallAfter = 30 * time.Second

// failPause is how long raft is not told of a snapshot that failed: it asks for the
// next one at the next sign of life.
const failPause = 200 * time.Millisecond

// sendSnapshots sends one snapshot after another until the member goes.
func (x *remotePeer) sendSnapshots() {
	for {
		select {
		case m := <-x.snap:
			err := x.sendSnapshot(m)
			if err != nil {
				rest(x.ctx, failPause)
			}
			x.sent(err)
			continue
		case <-x.ctx.Done():
		}
		x.mu.Lock()
		x.over = true
		x.mu.Unlock()
		select {
		case <-x.snap:
			x.sent(raftnode.ErrUnsent)
		default:
		}
		return
	}
}

// sent tells raft the outcome, for which it waits.
func (x *remotePeer) sent(err error) {
	if n := x.pool.node.Load(); n != nil {
		(*n).SnapshotSent(x.id, err)
	}
}

func (x *remotePeer) sendSnapshot(m *raftpb.Message) error {
	node, client := x.pool.node.Load(), x.bulk.ready()
	if node == nil || client == nil {
		return raftnode.ErrUnsent
	}
	ctx, cancel := context.WithCancel(x.ctx)
	defer cancel()
	snap, err := (*node).OpenSnapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = snap.Close() }()
	announce, err := proto.Marshal(raftnode.SnapshotMessage(m, snap.Meta()))
	if err != nil {
		return fmt.Errorf("encode snapshot message: %w", err)
	}
	begin := time.Now()
	stream, err := client.Snapshot(ctx)
	if err != nil {
		return err
	}
	watch := time.AfterFunc(stallAfter, cancel)
	defer watch.Stop()
	w := &parts{stream: stream, watch: watch}
	if err = stream.Send(&peerv1.SnapshotPart{Message: announce}); err == nil {
		// gofail: var peerInSnapshot struct{}
		_, err = snap.WriteTo(w)
	}
	if err == nil || errors.Is(err, io.EOF) { // the other end says why
		watch.Reset(10 * stallAfter) // it writes all to its disk
		_, err = stream.CloseAndRecv()
	}
	if err != nil {
		return err
	}
	x.pool.meters.snapshots.Inc()
	x.pool.o.Logger.Info("snapshot sent", zap.String("member", fmt.Sprintf("%016x", x.id)),
		zap.Uint64("index", snap.Meta().Index), zap.Int64("bytes", w.n), zap.Duration("elapsed", time.Since(begin)))
	return nil
}

// parts cuts what is written into parts of a stream.
type parts struct {
	stream grpc.ClientStreamingClient[peerv1.SnapshotPart, peerv1.SnapshotReply]
	watch  *time.Timer
	n      int64
}

// Write implements io.Writer. A part is encoded before Send returns.
func (w *parts) Write(b []byte) (int, error) {
	if err := w.stream.Send(&peerv1.SnapshotPart{Data: b}); err != nil {
		return 0, err
	}
	w.watch.Reset(stallAfter)
	w.n += int64(len(b))
	return len(b), nil
}

// end turns the end of a stream into the error that ended it.
func end(err error, receive func() error) error {
	if errors.Is(err, io.EOF) {
		return receive()
	}
	return err
}
