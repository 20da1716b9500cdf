package nacossdk

import (
	"fmt"
	"slices"
	"testing"

	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

// TestTogether has one client of every SDK on one server: what one of them does
// reaches all others, whatever they speak.
func TestTogether(t *testing.T) {
	t.Parallel()
	n := node.Run(t, node.Options{})
	drivers := make([]*drive.Driver, len(sdks))
	for i, s := range sdks {
		drivers[i] = s.Start(t) // all at a time: some take a second
	}
	clients := make(together, len(sdks))
	for i, d := range drivers {
		clients[i] = sdks[i].connect(t, d, n, sdks[i].Name)
	}
	t.Run("configs", clients.configs)
	t.Run("services", clients.services)
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
		writer.spread(t, shared, "from "+writer.name, clients...)
	}
	const many = 30
	for i := range many - 1 {
		clients[i%len(clients)].publish(t, shared, fmt.Sprintf("number %d", i+1))
	}
	clients[0].spread(t, shared, fmt.Sprintf("number %d", many), clients...)
}

// NAC-PRF-01, NAC-NAM-51: each is told of the instances of all, whichever way
// they were registered, and that those of a process that died went.
func (clients together) services(t *testing.T) {
	mixed := service("mixed")
	var all []wire.Instance
	for _, c := range clients {
		c.must(t, wire.Command{Op: wire.Subscribe, Item: mixed})
	}
	for i, c := range clients {
		instance := one
		instance.IP = fmt.Sprintf("10.2.0.%d", i+1)
		c.register(t, mixed, instance)
		all = append(all, instance)
	}
	for _, c := range clients {
		c.untilInstances(t, mixed, told, all...)
	}
	dead := slices.IndexFunc(clients, func(c client) bool { return c.name == "java-3.2.1" })
	clients[dead].Kill()
	for i, c := range clients {
		if i != dead {
			c.untilInstances(t, mixed, told, slices.Delete(slices.Clone(all), dead, dead+1)...)
		}
	}
}
