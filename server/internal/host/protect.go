package host

import (
	"fmt"
	"net"

	"go.uber.org/zap"
)

// RefusedError reports a server that would serve nobody: it would answer its own
// loopback only, where nobody is (PRD-05).
type RefusedError struct{ Why, Key string }

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("clients need no login, so this server would listen on loopback only, and %s nobody reaches that; "+
		"ask for logins with %s=true, or serve everybody with server.allow_unauthenticated=true", e.Why, e.Key)
}

// ExitCode is that of a refusal.
func (*RefusedError) ExitCode() int { return 2 }

// protect moves open listeners to loopback.
func protect(p *Plan, s Settings) error {
	if s.AllowOpen {
		return nil
	}
	for _, l := range p.Listeners {
		if !l.Open || l.Address == "" {
			continue
		}
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Key, err)
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "localhost" {
			continue
		}
		if s.Confined != "" {
			return &RefusedError{Why: s.Confined, Key: l.CloseKey}
		}
		l.Address = net.JoinHostPort("127.0.0.1", port)
	}
	return nil
}

// announce writes the line of a listener: where, what, how guarded, and the key
// that changes it.
func (h *Host) announce(b *bound) {
	plane := b.Name
	if b.Owner != "" {
		plane = b.Owner + "/" + b.Name
	}
	access, key := "auth", b.CloseKey
	switch {
	case b.Open && h.settings.AllowOpen:
		access, key = "open", "server.allow_unauthenticated"
	case b.Open:
		access = "loopback (protected)"
	}
	fields := []zap.Field{
		zap.String("address", b.listener.Addr().String()), zap.String("plane", plane), zap.String("access", access),
	}
	if key != "" {
		fields = append(fields, zap.String("change_with", key))
	}
	h.logger.Info("listening", fields...)
}
