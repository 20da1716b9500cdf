package peer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// handshakeTimeout bounds TLS and the greeting together.
const handshakeTimeout = 5 * time.Second

// Remote is who is at the other end of a connection, as it has proven.
type Remote struct {
	credentials.CommonAuthInfo
	Member, Cluster uint64
}

// AuthType implements credentials.AuthInfo.
func (Remote) AuthType() string { return "batata-peer" }

// remoteOf returns who sent a call.
func remoteOf(ctx context.Context) (Remote, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Remote{}, false
	}
	r, ok := p.AuthInfo.(Remote)
	return r, ok
}

// creds wraps each connection in TLS and the greeting.
type creds struct {
	handshaker
	self Self
	tls  *tls.Config
	want uint64 // member that a client looks for; 0: any
	// refused is told about connections that a server has refused.
	refused func(addr net.Addr, err error)
	// failed is told why a client could not shake hands.
	failed func(err error)
}

var _ credentials.TransportCredentials = (*creds)(nil)

// ClientHandshake implements credentials.TransportCredentials.
func (c *creds) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	config := c.tls.Clone()
	if host, _, err := net.SplitHostPort(authority); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	conn := tls.Client(raw, config)
	g, err := c.shake(ctx, conn, func() (greeting, error) { return c.greet(conn, c.self, c.want) })
	if err != nil {
		if c.failed != nil {
			c.failed(err)
		}
		return nil, nil, err
	}
	return conn, remote(g), nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *creds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, c.tls)
	g, err := c.shake(ctx, conn, func() (greeting, error) { return c.receive(conn, c.self) })
	if err != nil {
		if c.refused != nil {
			c.refused(raw.RemoteAddr(), err)
		}
		return nil, nil, err
	}
	return conn, remote(g), nil
}

// shake runs both handshakes within ctx.
func (c *creds) shake(ctx context.Context, conn *tls.Conn, greet func() (greeting, error)) (greeting, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.NetConn().SetDeadline(time.Unix(1, 0)) })
	if err := conn.HandshakeContext(ctx); err != nil {
		stop()
		return greeting{}, fmt.Errorf("tls: %w", err)
	}
	g, err := greet()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	return g, err
}

func remote(g greeting) Remote {
	return Remote{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		Member:         g.from, Cluster: g.cluster,
	}
}

// Info implements credentials.TransportCredentials.
func (*creds) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "batata-peer"}
}

// Clone implements credentials.TransportCredentials.
func (c *creds) Clone() credentials.TransportCredentials {
	d := *c
	return &d
}

// OverrideServerName implements credentials.TransportCredentials.
func (*creds) OverrideServerName(string) error { return nil }

// clientTLS and serverTLS derive what the two ends use from one configuration.
// Without one the certificate is made at start and shows nothing: who is at the
// other end is proven by the greeting, bound to the session. With one, both ends
// must show a certificate that it trusts, and prove the secret as well.
func clientTLS(given *tls.Config, own tls.Certificate) *tls.Config {
	if given == nil {
		return &tls.Config{
			MinVersion:         tls.VersionTLS13,
			Certificates:       []tls.Certificate{own},
			InsecureSkipVerify: true, //nolint:gosec // the greeting, bound to the session, proves more
		}
	}
	c := given.Clone()
	c.MinVersion = tls.VersionTLS13
	return c
}

func serverTLS(given *tls.Config, own tls.Certificate) *tls.Config {
	if given == nil {
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}}
	}
	c := given.Clone()
	c.MinVersion = tls.VersionTLS13
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c
}

// selfSigned makes a certificate that nobody needs to trust.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(30, 0, 0),
		DNSNames: []string{"member"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
