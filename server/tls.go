package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// TLS names the certificates of a server; the zero value is plaintext.
type TLS struct {
	CertFile, KeyFile string
	ClientCAFile      string // with it clients must show a certificate
	Only              bool   // refuse connections without TLS
}

// reloadEvery is how often the files are looked at for a change.
const reloadEvery = 10 * time.Second

// certificates keeps the certificate current. It owns one goroutine, until
// close.
type certificates struct {
	files   TLS
	clients *x509.CertPool
	current atomic.Pointer[tls.Certificate]
	seen    time.Time
	logger  *zap.Logger
	stop    context.CancelFunc
	group   sync.WaitGroup
}

// openCertificates returns nil without a certificate.
func openCertificates(files TLS, logger *zap.Logger) (*certificates, error) {
	if files.CertFile == "" && files.KeyFile == "" {
		if files.ClientCAFile != "" || files.Only {
			return nil, errors.New("server.tls: no cert_file and key_file")
		}
		return nil, nil //nolint:nilnil // no certificate is what was asked for
	}
	c := &certificates{files: files, logger: logger}
	if files.ClientCAFile != "" {
		b, err := os.ReadFile(files.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("server.tls.client_ca_file: %w", err)
		}
		c.clients = x509.NewCertPool()
		if !c.clients.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("server.tls.client_ca_file: %s holds no certificate", files.ClientCAFile)
		}
	}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("server.tls: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.group.Go(func() { c.watch(ctx) })
	return c, nil
}

func (c *certificates) load() error {
	info, err := os.Stat(c.files.CertFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return err
	}
	c.current.Store(&pair)
	c.seen = info.ModTime()
	return nil
}

// watch loads the files again when they change; a broken pair keeps the old one.
func (c *certificates) watch(ctx context.Context) {
	t := time.NewTicker(reloadEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		info, err := os.Stat(c.files.CertFile)
		if err == nil && info.ModTime().Equal(c.seen) {
			continue
		}
		if err == nil {
			err = c.load()
		}
		if err != nil {
			c.logger.Warn("certificate not reloaded, the present one stays", zap.Error(err))
			continue
		}
		c.logger.Info("certificate reloaded")
	}
}

func (c *certificates) config() *tls.Config {
	t := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
	if c.clients != nil {
		t.ClientAuth, t.ClientCAs = tls.RequireAndVerifyClientCert, c.clients
	}
	return t
}

func (c *certificates) close() {
	c.stop()
	c.group.Wait()
}
