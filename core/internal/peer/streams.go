package peer

import (
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/easynet-cn/batata/proto/batata/peer/v1"
)

var errLane = errors.New("unexpected message")

// Raft implements peerv1.PeerServer.
func (s *Server) Raft(stream peerv1.Peer_RaftServer) error {
	if _, _, err := s.member(stream.Context()); err != nil {
		return err
	}
	for {
		b, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&peerv1.RaftEnd{})
		}
		if err != nil {
			return err
		}
		g, from, err := s.member(stream.Context())
		if err != nil {
			return err // it has been removed meanwhile
		}
		for _, raw := range b.GetMessages() {
			m, err := s.decode(raw, from)
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			if m == nil {
				continue
			}
			if err := g.Step(stream.Context(), m); err != nil {
				return status.Error(codes.Unavailable, err.Error())
			}
		}
	}
}

// decode takes a message of raft that is of the sender's own, for this member,
// and of a type that travels. Nil is one to pass over.
func (s *Server) decode(raw []byte, from uint64) (*raftpb.Message, error) {
	m := new(raftpb.Message)
	if err := unmarshal(raw, m); err != nil {
		return nil, err
	}
	if m.GetType() == raftpb.MsgReadIndex && m.GetFrom() != from {
		return nil, nil // passed on by a member that leads no more; its sender asks again
	}
	if m.GetFrom() != from || m.GetTo() != s.self.Member() || !travels(m.GetType()) {
		return nil, fmt.Errorf("%w: %s from %016x to %016x", errLane, m.GetType(), m.GetFrom(), m.GetTo())
	}
	return m, nil
}

// travels says whether a message of raft comes from other members.
func travels(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		return true
	default:
		return false
	}
}

// Snapshot implements peerv1.PeerServer.
func (s *Server) Snapshot(stream peerv1.Peer_SnapshotServer) error {
	g, from, err := s.member(stream.Context())
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if len(first.GetMessage()) > maxAnnounce {
		return status.Error(codes.InvalidArgument, "announcement too large")
	}
	m := new(raftpb.Message)
	if err := unmarshal(first.GetMessage(), m); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if m.GetType() != raftpb.MsgSnap || m.GetFrom() != from || m.GetTo() != s.self.Member() {
		return status.Error(codes.InvalidArgument, errLane.Error())
	}
	begin := time.Now()
	r := &partReader{stream: stream, rest: first.GetData()}
	if err := g.ReceiveSnapshot(stream.Context(), m, r); err != nil {
		return status.Error(codes.Aborted, err.Error())
	}
	s.logger.Info("snapshot received", zap.String("member", fmt.Sprintf("%016x", from)),
		zap.Int64("bytes", r.n), zap.Duration("elapsed", time.Since(begin)))
	return stream.SendAndClose(&peerv1.SnapshotReply{})
}

// partReader reads the data of a stream.
type partReader struct {
	stream peerv1.Peer_SnapshotServer
	rest   []byte
	n      int64
}

// Read implements io.Reader.
func (r *partReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		part, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.rest = part.GetData()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.n += int64(n)
	return n, nil
}
