package peer

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MinSecret is the shortest secret of a cluster, in bytes.
const MinSecret = 32

// The greeting that each end sends once, the client first:
//
//	magic 4 | status 1 | zero 3 | cluster u64 | from u64 | to u64 | HMAC-SHA256 32
//
// The MAC covers what comes before it, the role, and a value that only the two
// ends of this TLS session can compute, so that it proves the secret to this
// other end and to nobody else, once.
const (
	greetingMagic = "BPR1"
	greetingBody  = 4 + 1 + 3 + 3*8
	greetingSize  = greetingBody + sha256.Size
	exporterLabel = "EXPORTER-batata-peer"
)

// outcome is what the server makes of a greeting.
type outcome byte

const (
	statusOK      outcome = iota + 1
	statusSecret          // the MAC is wrong
	statusForeign         // the client is of another cluster
	statusOther           // the client looks for another member
)

// ErrSecret reports a connection whose other end has another secret.
var ErrSecret = errors.New("the secrets of the two members differ (cluster.secret)")

// ForeignError reports a member of another cluster.
type ForeignError struct{ Found, Own uint64 }

// Error implements error.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("it is of cluster %016x, this member of %016x", e.Found, e.Own)
}

// OtherError reports an address at which another member answers.
type OtherError struct{ Found, Want uint64 }

// Error implements error.
func (e *OtherError) Error() string {
	return fmt.Sprintf("member %016x answers there, not %016x: its disk was replaced, or the address is of another", e.Found, e.Want)
}

// Self is who this member is. The cluster is 0 until it has joined one.
type Self interface {
	Member() uint64
	Cluster() uint64
}

// greeting is the plain form.
type greeting struct {
	status            outcome
	cluster, from, to uint64
}

// handshaker proves the secret.
type handshaker struct{ key []byte }

func newHandshaker(secret []byte) (handshaker, error) {
	if len(secret) < MinSecret {
		return handshaker{}, fmt.Errorf("secret of the cluster: want at least %d bytes, got %d", MinSecret, len(secret))
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "batata peer handshake 1", sha256.Size)
	if err != nil {
		return handshaker{}, fmt.Errorf("secret of the cluster: %w", err)
	}
	return handshaker{key: key}, nil
}

// role tells the two MACs of a session apart, so that none can be sent back.
type role string

const (
	roleClient role = "client"
	roleServer role = "server"
)

func (h handshaker) encode(g greeting, by role, session []byte) []byte {
	b := make([]byte, 0, greetingSize)
	b = append(b, greetingMagic...)
	b = append(b, byte(g.status), 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, g.cluster)
	b = binary.BigEndian.AppendUint64(b, g.from)
	b = binary.BigEndian.AppendUint64(b, g.to)
	return append(b, h.mac(b, by, session)...)
}

func (h handshaker) mac(body []byte, by role, session []byte) []byte {
	m := hmac.New(sha256.New, h.key)
	m.Write([]byte(by))
	m.Write(session)
	m.Write(body)
	return m.Sum(nil)
}

var errGreeting = errors.New("not a greeting of a member")

// decode reads a greeting; proven says that its MAC is right.
func (h handshaker) decode(r io.Reader, by role, session []byte) (g greeting, proven bool, err error) {
	var b [greetingSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return g, false, fmt.Errorf("read greeting: %w", err)
	}
	if string(b[:4]) != greetingMagic {
		return g, false, errGreeting
	}
	g.status = outcome(b[4])
	g.cluster = binary.BigEndian.Uint64(b[8:])
	g.from = binary.BigEndian.Uint64(b[16:])
	g.to = binary.BigEndian.Uint64(b[24:])
	return g, hmac.Equal(b[greetingBody:], h.mac(b[:greetingBody], by, session)), nil
}

// session is a value that both ends of a TLS session know, and nobody else.
func session(c *tls.Conn) ([]byte, error) {
	s := c.ConnectionState()
	b, err := s.ExportKeyingMaterial(exporterLabel, nil, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("bind to session: %w", err)
	}
	return b, nil
}

// greet proves the secret to a server and wants the same of it. want is the
// member that should be there; 0: any.
func (h handshaker) greet(c *tls.Conn, self Self, want uint64) (greeting, error) {
	s, err := session(c)
	if err != nil {
		return greeting{}, err
	}
	own := self.Cluster()
	if _, err := c.Write(h.encode(greeting{cluster: own, from: self.Member(), to: want}, roleClient, s)); err != nil {
		return greeting{}, fmt.Errorf("send greeting: %w", err)
	}
	g, proven, err := h.decode(c, roleServer, s)
	switch {
	case err != nil:
		return g, err
	case g.status == statusSecret || !proven:
		return g, ErrSecret
	case g.status == statusForeign:
		return g, &ForeignError{Found: g.cluster, Own: own}
	case g.status == statusOther || want != 0 && g.from != want:
		return g, &OtherError{Found: g.from, Want: want}
	case g.status != statusOK:
		return g, errGreeting
	}
	return g, nil
}

// receive checks the greeting of a client and answers it.
func (h handshaker) receive(c *tls.Conn, self Self) (greeting, error) {
	s, err := session(c)
	if err != nil {
		return greeting{}, err
	}
	g, proven, err := h.decode(c, roleClient, s)
	if err != nil {
		return g, err
	}
	own, id := self.Cluster(), self.Member()
	answer := greeting{status: statusOK, cluster: own, from: id, to: g.from}
	switch {
	case !proven || g.from == 0:
		// Whoever does not know the secret learns nothing.
		answer, err = greeting{status: statusSecret}, ErrSecret
	case own != 0 && g.cluster != 0 && g.cluster != own:
		answer.status, err = statusForeign, &ForeignError{Found: g.cluster, Own: own}
	case g.to != 0 && g.to != id:
		answer.status, err = statusOther, &OtherError{Found: id, Want: g.to}
	}
	if _, e := c.Write(h.encode(answer, roleServer, s)); e != nil && err == nil {
		err = fmt.Errorf("send greeting: %w", e)
	}
	return g, err
}
