package naming

import (
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// Client is who registers: a connection, or the address of an instance for the
// clients that have none.
type Client struct {
	ID string
	// Beats says that the client must beat for its instances to live.
	Beats bool
}

// Connection is the client of a gRPC connection.
func Connection(id string) Client { return Client{ID: id} }

// The suffixes of clients without a connection (NAC-NAM-53).
const (
	suffixEphemeral  = "#true"
	suffixPersistent = "#false"
)

// Address is the client of an ephemeral instance that was registered over HTTP.
func Address(ip string, port uint16) Client {
	return Client{ID: addressOf(ip, port) + suffixEphemeral, Beats: true}
}

// persistentScope is the scope of a persistent instance.
func persistentScope(ip string, port uint16) string { return addressOf(ip, port) + suffixPersistent }

// ParseClient takes the id of a client without a connection apart; false for
// that of a connection.
func ParseClient(id string) (ip string, port uint16, ephemeral, ok bool) {
	address, ephemeral := strings.CutSuffix(id, suffixEphemeral)
	if !ephemeral {
		if address, ok = strings.CutSuffix(id, suffixPersistent); !ok {
			return "", 0, false, false
		}
	}
	at := strings.LastIndexByte(address, ':')
	if at <= 0 {
		return "", 0, false, false
	}
	n, err := strconv.ParseUint(address[at+1:], 10, 16)
	if err != nil {
		return "", 0, false, false
	}
	return address[:at], uint16(n), ephemeral, true
}

func (c Client) publisher() registry.PublisherKey { return registry.PublisherKey{Scope: c.ID} }
