//go:build deps

package nacos

import (
	_ "github.com/easynet-cn/batata/core"
	_ "github.com/easynet-cn/batata/proto"
	_ "github.com/labstack/echo/v4"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "go.uber.org/goleak"
	_ "go.uber.org/zap"
	_ "google.golang.org/grpc"
	_ "google.golang.org/protobuf/proto"
)
