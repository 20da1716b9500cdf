package swarm

import (
	"errors"
	"strings"
	"testing"
)

func TestCaller(t *testing.T) {
	p := newPeer(t, "")
	c, err := DialCaller(p.addr, pathUnary)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Call(Payload("ServerCheckRequest", []byte(`{}`)))
	if err != nil || !strings.Contains(string(answer), `"resultCode":200`) {
		t.Fatalf("Call() = %q, %v", answer, err)
	}
	if err := c.Open(pathStream, Payload("ConnectionSetupRequest", []byte(`{}`)), true); err != nil {
		t.Fatal(err)
	}
	long := Payload("ConfigQueryRequest", []byte(`"`+strings.Repeat("x", 15<<10)+`"`))
	for range 100 { // more than the windows that a connection begins with
		p.push <- rawOf("ConfigChangeNotifyRequest", strings.Repeat("y", 2<<10))
		if _, err := c.Call(long); err != nil {
			t.Fatal(err)
		}
		<-p.calls
	}
}

func TestCallerFails(t *testing.T) {
	p := newPeer(t, "")
	c, err := DialCaller(p.addr, "/Request/nothing")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(Payload("ServerCheckRequest", []byte(`{}`))); !errors.Is(err, errFailed) {
		t.Errorf("Call() = %v, want %v", err, errFailed)
	}
	if _, err := c.Call(make([]byte, 1<<20)); !errors.Is(err, errWindow) {
		t.Errorf("Call() of a megabyte = %v, want %v", err, errWindow)
	}
}
