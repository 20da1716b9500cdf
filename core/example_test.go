package core_test

import (
	"context"
	"fmt"
	"os"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/kv"
)

// A node lives in any program: no port, no global state, one directory.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "batata")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	node, err := core.Start(ctx, core.Config{DataDir: dir, Tables: []kv.TableSpec{{Name: "visits", Residency: kv.Hot}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close() }()

	for range 2 {
		_, err = node.KV().Commit(ctx, kv.Txn{Then: []kv.Op{{Kind: kv.Put, Table: "visits", Key: []byte("alice"), Value: []byte("hi")}}})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	row, err := node.KV().Get(ctx, "visits", []byte("alice"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, written %d times\n", row.Value, row.Version)
	// Output: hi, written 2 times
}
