package registry_test

import (
	"context"
	"fmt"
	"os"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/registry"
)

// An application registers while it is connected; another one follows the
// service and chooses who is asked.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "batata")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	node, err := core.Start(ctx, core.Config{DataDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close() }()

	changes, err := node.Registry().Watch(ctx, registry.Query{Namespace: "public"}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = changes.Close() }()

	orders := registry.ServiceKey{Namespace: "public", Name: "orders"}
	conn := registry.PublisherKey{Scope: "connection 1"}
	instances := node.Ephemeral()
	_ = instances.Open(ctx, registry.Publisher{Key: conn})
	_ = instances.Publish(ctx, conn, registry.Merge, []registry.Registration{
		{Service: orders, Host: "10.0.0.1", Port: 8080, Weight: 1, Enabled: true},
		{Service: orders, Host: "10.0.0.2", Port: 8080, Weight: 1, Enabled: true, Status: registry.Critical},
	})
	show(ctx, changes)
	_ = instances.Close(ctx, []registry.PublisherKey{conn}) // with all it published
	show(ctx, changes)
	// Output:
	// orders: 10.0.0.1:8080 of 2
	// orders is gone
}

func show(ctx context.Context, changes registry.Stream) {
	cs, err := changes.Next(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range cs {
		s := c.Snapshot
		if s.Gone {
			fmt.Println(s.Key.Name, "is gone")
			continue
		}
		for _, e := range registry.Select(nil, s, &registry.Selection{Healthy: true}) {
			fmt.Printf("%s: %s:%d of %d\n", s.Key.Name, e.Host, e.Port, len(s.Endpoints))
		}
	}
}
