package durability

import (
	"fmt"
	"slices"
)

// absent is the state of an item that does not exist. The server takes no
// empty content, so it cannot be confused with one.
const absent = ""

// item is one config with the states it may be in. It is used by one client
// at a time.
type item struct {
	name string
	// states holds the last acknowledged state and, after it, that of each
	// request sent since whose outcome is not known.
	states []string
}

func newItem(name string) *item { return &item{name: name, states: []string{absent}} }

// send notes that a request is on its way that puts the item into a state.
func (i *item) send(state string) { i.states = append(i.states, state) }

// acknowledged notes that the last request sent was answered with success.
func (i *item) acknowledged() { i.states = i.states[len(i.states)-1:] }

// allows checks a state read from a server that still works on requests whose
// outcome is not known.
func (i *item) allows(state string) error {
	if slices.Contains(i.states, state) {
		return nil
	}
	return fmt.Errorf("item %s = %s, want the acknowledged %s or a later one of %d", i.name, brief(state), brief(i.states[0]), len(i.states)-1)
}

// found checks a state read after a restart, and makes it the only one: what
// did not happen by then will never happen.
func (i *item) found(state string) error {
	err := i.allows(state)
	i.states = []string{state}
	return err
}

// brief shortens a state for a message.
func brief(state string) string {
	if state == absent {
		return "absent"
	}
	return fmt.Sprintf("%.40q (%d bytes)", state, len(state))
}
