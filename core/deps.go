//go:build deps

package core

import (
	_ "github.com/anishathalye/porcupine"
	_ "github.com/easynet-cn/batata/proto"
	_ "github.com/golang-jwt/jwt/v5"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/tidwall/btree"
	_ "go.etcd.io/bbolt"
	_ "go.etcd.io/gofail/runtime"
	_ "go.etcd.io/raft/v3"
	_ "go.uber.org/goleak"
	_ "go.uber.org/zap"
	_ "golang.org/x/crypto/bcrypt"
	_ "golang.org/x/sync/errgroup"
	_ "google.golang.org/grpc"
	_ "google.golang.org/protobuf/proto"
	_ "pgregory.net/rapid"
)
