package server

import (
	"context"
	"syscall"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/plugin"
)

// fileLimit is the number of connections the process may hold: four fifths of
// its files (SEC-20).
func fileLimit(logger *zap.Logger) int64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		logger.Warn("file limit unknown, connections are not limited", zap.Error(err))
		return 0
	}
	n := int64(min(l.Cur, 1<<40)) * 4 / 5
	logger.Info("connection limit", zap.Int64("connections", n))
	return n
}

// attacher reaches the node of a server, which starts after its host is planned.
type attacher struct{ server *Server }

func (a attacher) Attach(ctx context.Context, owner string, tables []kv.TableSpec) (plugin.Core, error) {
	return a.server.node.Attach(ctx, owner, tables)
}

func (a attacher) Ready(ctx context.Context) error { return a.server.node.Ready(ctx) }
