// Package wire is what the end-to-end suite and the drivers of foreign SDKs say
// to each other: a driver is a child process that reads commands from its
// standard input and writes answers and events to its standard output, one JSON
// object a line. Standard error is for logs.
//
// A driver carries out one command at a time. It answers every command with a
// line that repeats the command's number, and writes an event whenever a
// listener of the SDK is called. It ends when its input ends.
//
// The drivers written in Go use Serve; those in other languages, in the folders
// beside this one, do the same by hand.
package wire

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Operations of a command.
const (
	Connect    = "connect"    // Client, Server, Dir
	Publish    = "publish"    // Client, Group, DataID, Content
	Get        = "get"        // Client, Group, DataID; answers Content
	Listen     = "listen"     // Client, Group, DataID
	Remove     = "remove"     // Client, Group, DataID
	Register   = "register"   // Client, Group, Service, Instance
	Deregister = "deregister" // Client, Group, Service, Instance
	Subscribe  = "subscribe"  // Client, Group, Service
	List       = "list"       // Client, Group, Service; answers Instances
	Close      = "close"      // Client
)

// Command is one line to a driver.
type Command struct {
	ID     int    `json:"id"` // from 1
	Op     string `json:"op"`
	Client string `json:"client"` // a driver has many clients of its SDK, by name
	// Server is host:port; the drivers of Java, of Python over gRPC and go2 take
	// several, with commas between.
	Server string `json:"server,omitempty"`
	Dir    string `json:"dir,omitempty"` // for caches and logs of this client
	Item
	Content  string    `json:"content,omitempty"`
	Instance *Instance `json:"instance,omitempty"`
}

// Item names a config by Group and DataID, or a service by Group and Service.
type Item struct {
	Group   string `json:"group,omitempty"`
	DataID  string `json:"data_id,omitempty"`
	Service string `json:"service,omitempty"`
}

// Instance is one instance of a service. A driver registers it as ephemeral,
// healthy and enabled.
type Instance struct {
	IP       string            `json:"ip"`
	Port     int               `json:"port"`
	Weight   float64           `json:"weight"`
	Cluster  string            `json:"cluster"`
	Metadata map[string]string `json:"metadata"`
}

// Events.
const (
	Config  = "config"  // Content: what the listener of a config was given
	Service = "service" // Instances: all that the listener of a service knows now
)

// Message is one line of a driver: the answer to a command, with ID, or an
// event, with Event, Client and Item.
type Message struct {
	ID     int    `json:"id,omitempty"`
	OK     bool   `json:"ok"`              // answers: the SDK reported success
	Error  string `json:"error,omitempty"` // answers: what the SDK threw
	Event  string `json:"event,omitempty"`
	Client string `json:"client,omitempty"`
	Item
	Content   string     `json:"content,omitempty"` // null and "" alike: nothing
	Instances []Instance `json:"instances,omitempty"`
}

// Handle carries out a command. It may call tell at any time, from any
// goroutine, also after it returned.
type Handle func(c Command, tell func(Message)) Message

// Serve is the main loop of a driver: it returns when the input ends.
func Serve(in io.Reader, out io.Writer, handle Handle) error {
	var mu sync.Mutex // guards out
	encode := json.NewEncoder(out)
	tell := func(m Message) {
		mu.Lock()
		defer mu.Unlock()
		_ = encode.Encode(m) // an error means the suite is gone, and so is the input
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var c Command
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("command %q: %w", line, err)
		}
		m := handle(c, tell)
		m.ID = c.ID
		tell(m)
	}
}

// Result is the answer of a call that reports success and an error.
func Result(ok bool, err error) Message {
	if err != nil {
		return Message{Error: err.Error()}
	}
	return Message{OK: ok}
}
