package server

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// confined says why nobody would reach loopback, empty when somebody would.
func confined(clustered bool) string {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return "in a container"
		}
	}
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "container"} {
		if _, ok := os.LookupEnv(name); ok {
			return "in a container"
		}
	}
	if clustered {
		return "in a cluster"
	}
	return ""
}

// tune sets the garbage collector unless the environment does: headroom, and a
// limit below what the control group allows.
func tune(logger *zap.Logger) {
	if _, set := os.LookupEnv("GOGC"); !set {
		pace()
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); set {
		return
	}
	b, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return // no control group that limits memory
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return // "max"
	}
	debug.SetMemoryLimit(limit / 10 * 9)
	logger.Info("memory limit", zap.Int64("bytes", limit/10*9))
}
