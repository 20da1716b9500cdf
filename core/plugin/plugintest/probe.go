package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/easynet-cn/batata/core/plugin"
)

// serves checks that everything the manifest declares is served, and survives
// callers who make no sense.
func serves(ctx context.Context, factory func() plugin.Plugin, dir string) error {
	return leakless(func() error {
		s, err := begun(ctx, factory, dir)
		if err != nil {
			return err
		}
		err = errors.Join(s.probeMounts(ctx), s.probeListeners(ctx))
		return errors.Join(err, s.end(ctx))
	})
}

// probeMounts asks every prefix of every mount.
func (s *Server) probeMounts(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var errs []error
	for _, m := range s.manifest.Mounts {
		if s.host.Handlers[m.Name] == nil {
			errs = append(errs, fmt.Errorf("mount %s: declared, not served", m.Name))
			continue
		}
		for _, prefix := range m.Prefixes {
			base := s.URL(m.Listener) + prefix
			errs = append(errs,
				probe(ctx, client, http.MethodGet, base, ""),
				probe(ctx, client, http.MethodGet, strings.TrimRight(base, "/")+"/no/such/path?a=%ff&;=", ""),
				probe(ctx, client, http.MethodPost, base, "\x00\xff{"),
			)
		}
	}
	return errors.Join(errs...)
}

// probe wants an answer that does not blame the server.
func probe(ctx context.Context, client *http.Client, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to the end
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%s %s: status %d", method, url, resp.StatusCode)
	}
	return nil
}

// probeListeners calls gRPC, and says nonsense to the plugin's own protocols.
func (s *Server) probeListeners(ctx context.Context) error {
	var errs []error
	for name := range s.grpc {
		errs = append(errs, s.probeGRPC(ctx, name))
	}
	for _, l := range s.manifest.Listeners {
		if s.addrs[l.Name] == nil && s.rpcs[l.Name] == nil {
			errs = append(errs, fmt.Errorf("listener %s: declared, not served", l.Name))
			continue
		}
		if s.host.Serves[l.Name] == nil && s.host.Packets[l.Name] == nil {
			continue
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, l.Network, s.Addr(l.Name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		_, err = c.Write([]byte("\x00\xff nonsense\r\n"))
		errs = append(errs, err, c.Close())
	}
	return errors.Join(errs...)
}

// probeGRPC calls a method that nobody has.
func (s *Server) probeGRPC(ctx context.Context, name string) error {
	if len(s.grpc[name].GetServiceInfo()) == 0 {
		return fmt.Errorf("listener %s: gRPC without a service", name)
	}
	conn, err := grpc.NewClient(s.GRPC(name), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	err = conn.Invoke(ctx, "/plugintest.Unknown/Call", &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) != codes.Unimplemented {
		err = fmt.Errorf("listener %s: an unknown method answers %w, want %s", name, err, codes.Unimplemented)
	} else {
		err = nil
	}
	return errors.Join(err, conn.Close())
}
