package nacossdk

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// TestTogether has one client of every SDK on one server: what one of them does
// reaches all others, whatever they speak.
func TestTogether(t *testing.T) {
	n := node.Run(t, node.Options{})
	drivers := make([]*driver, len(sdks))
	for i, s := range sdks {
		drivers[i] = s.start(t) // all at a time: some take a second
	}
	clients := make(together, len(sdks))
	for i, d := range drivers {
		clients[i] = d.connect(t, n, sdks[i].name)
	}
	t.Run("configs", clients.configs)
}

// together is one client of each SDK, in the order of the table.
type together []client

// NAC-PRF-03, 06, NAC-QRK-33: each publishes in turn, and all are told; of many
// publishes in a row, all are told the last.
func (clients together) configs(t *testing.T) {
	shared := config("shared")
	clients[0].publish(t, shared, "first")
	for _, c := range clients {
		c.must(t, wire.Command{Op: wire.Listen, Item: shared})
	}
	for _, writer := range clients {
		content := "from " + writer.name
		writer.publish(t, shared, content)
		for _, reader := range clients {
			reader.untilContent(t, shared, told, content)
		}
	}
	const many = 30
	for i := range many {
		clients[i%len(clients)].publish(t, shared, fmt.Sprintf("number %d", i+1))
	}
	for _, reader := range clients {
		if !reader.losesPush {
			reader.untilContent(t, shared, told, fmt.Sprintf("number %d", many))
		}
	}
	clients[0].publish(t, shared, "calm")
	for _, reader := range clients {
		reader.untilContent(t, shared, told, "calm")
	}
}
