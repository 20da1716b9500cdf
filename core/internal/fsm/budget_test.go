//go:build !race

package fsm

import (
	"fmt"
	"testing"

	"github.com/easynet-cn/batata/core/kv"
)

// GOAL-04: a new hot row is two allocations, its bytes and its record; the cold
// rows of a memtable share theirs. Trees add what they split.
func TestBudgetApply(t *testing.T) {
	m := testMachine(t)
	const n = 4096
	var commands []Command
	for i := range 2 * n {
		commands = append(commands, Command{Txn: &Txn{Then: []kv.Op{
			{Kind: kv.Put, Key: hot(fmt.Sprintf("head/%08d", i)), Value: make([]byte, 70)},
			{Kind: kv.Put, Key: cold(fmt.Sprintf("version/%08d/########", i)), Value: make([]byte, 400), StampKey: int32(KeyOffset(coldTable)) + 18},
		}}})
	}
	next := 0
	allocs := testing.AllocsPerRun(1, func() {
		for range n {
			m.Forget()
			if out, err := m.Apply(&commands[next]); err != nil || out.Err != nil {
				t.Fatal(out, err)
			}
			next++
		}
	}) / n
	t.Logf("%.2f allocations for a hot and a cold row", allocs)
	if allocs > 2.5 {
		t.Errorf("a hot and a cold row make %.2f allocations, want 2 and little more", allocs)
	}
}
