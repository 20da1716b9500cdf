package main

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// row is one line of the throughput table.
type row struct {
	name    string
	conns   int
	ceiling string // kind of the target the ratios refer to
	label   string // how the ceiling is called; empty: as usual
	goal    string
	open    opener
	static  opener // on the ceiling
}

// opener opens the connections of a row.
type opener func(s *setup, t *target, conns int) ([]caller, error)

var (
	small = strings.Repeat("v", 256)
	five  = strings.Repeat("v", 5<<10)
)

// readRows leave nothing behind, namingRows little, publishRows much: they are
// measured in this order.
func readRows() []row {
	return []row{
		{name: "config get, HTTP, 200 B", conns: 64, ceiling: "http", goal: "GOAL-01 ≥ 0.85 H", open: openGet, static: openStatic},
		{name: "config query, gRPC, 200 B", conns: 64, ceiling: "grpc", goal: "GOAL-03 ≥ 0.9 G", open: openQuery, static: openEcho},
	}
}

func publishRows() []row {
	const goal = "GOAL-04 ≥ 1.5 E1"
	return []row{
		{name: "config publish, HTTP, 256 B", conns: 64, ceiling: "etcd", goal: goal, open: openPublish(small), static: openPut(small)},
		{name: "config publish, HTTP, 256 B", conns: 256, ceiling: "etcd", goal: goal, open: openPublish(small), static: openPut(small)},
		{name: "config publish, gRPC, 256 B", conns: 64, ceiling: "etcd", goal: goal, open: openPublishGRPC(small), static: openPut(small)},
		{name: "config publish, gRPC, 256 B", conns: 256, ceiling: "etcd", goal: goal, open: openPublishGRPC(small), static: openPut(small)},
		{name: "config publish, HTTP, 5 KiB", conns: 64, ceiling: "etcd", open: openPublish(five), static: openPut(five)},
		{name: "config publish, HTTP, 256 B, one writer", conns: 1, ceiling: "etcd", open: openPublish(small), static: openPut(small)},
	}
}

func namingRows() []row {
	const reflected = "R: echo, encoding/json"
	rows := []row{
		{name: "register and deregister, gRPC", conns: 64, ceiling: "grpc", goal: "GOAL-07 ≥ 0.75 G", open: openChurn, static: openEcho},
		{name: "register and deregister, gRPC", conns: 1000, ceiling: "grpc", goal: "GOAL-07 ≥ 0.75 G", open: openChurn, static: openEcho},
		{name: "register, HTTP V1", conns: 64, ceiling: "http", label: "H: echo, form", goal: "GOAL-08 ≥ 0.75 H", open: openRegister, static: openForm("POST")},
		{name: "beat, HTTP V1", conns: 64, ceiling: "http", label: "H: echo, form", open: openBeats, static: openForm("PUT")},
	}
	for _, n := range []int{1, 10, 1000} {
		ceiling, goal, open, large := "", "", opener(openStatic), opener(openEcho)
		switch n {
		case 10:
			goal = "GOAL-09 ≥ 0.85 H"
		case 1000:
			ceiling, goal, open, large = reflected, "GOAL-09 ≥ 4 R", openReflect, openLarge
		}
		what := fmt.Sprintf("query of %d instances, ", n)
		if n == 1 {
			what = "query of 1 instance, "
		}
		rows = append(rows,
			row{name: what + "HTTP V1", conns: 64, ceiling: "http", label: ceiling, goal: goal, open: openList(n, listPath), static: open},
			row{name: what + "HTTP V3", conns: 64, ceiling: "http", label: ceiling, goal: goal, open: openList(n, listPathV3), static: open},
			row{name: what + "gRPC", conns: 64, ceiling: "grpc", open: openService(n), static: large},
		)
	}
	return rows
}

func openMany(n int, open func() (caller, error)) ([]caller, error) {
	cs := make([]caller, 0, n)
	for range n {
		c, err := open()
		if err != nil {
			closeAll(cs)
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func closeAll(cs []caller) {
	for _, c := range cs {
		c.close()
	}
}

func openRequests(t *target, conns int, request func(int) []byte) ([]caller, error) {
	return openMany(conns, func() (caller, error) { return dialHTTP(t.http(), request) })
}

func openGet(_ *setup, t *target, conns int) ([]caller, error) {
	if err := publish(t, "hot", strings.Repeat("x", 200)); err != nil {
		return nil, err
	}
	return openRequests(t, conns, getRequest("/nacos/v1/cs/configs?dataId=hot&group="+group))
}

func openStatic(_ *setup, t *target, conns int) ([]caller, error) {
	return openRequests(t, conns, getRequest("/static"))
}

func openReflect(_ *setup, t *target, conns int) ([]caller, error) {
	return openRequests(t, conns, getRequest("/reflect"))
}

// openForm sends a form as long as that of an instance.
func openForm(method string) opener {
	path := instancePath
	if method == "PUT" {
		path = beatPath
	}
	b := formRequest(method, path, registerForm("service-000", newInstance("", 1)))
	return func(_ *setup, t *target, conns int) ([]caller, error) {
		return openRequests(t, conns, func(int) []byte { return b })
	}
}

func openQuery(s *setup, t *target, conns int) ([]caller, error) {
	if err := publish(t, "hot", strings.Repeat("x", 200)); err != nil {
		return nil, err
	}
	return openSDK(s, t, "config", conns, queryPayload)
}

// openSDK opens registered connections.
func openSDK(s *setup, t *target, module string, conns int, request func(int) []byte) ([]caller, error) {
	return openSDKs(s, t, module, conns, func(int) func(int) []byte { return request })
}

// openSDKs is openSDK with requests of its own for each connection.
func openSDKs(s *setup, t *target, module string, conns int, requests func(conn int) func(int) []byte) ([]caller, error) {
	addr, err := t.grpc()
	if err != nil {
		return nil, err
	}
	var conn atomic.Int64
	return openMany(conns, func() (caller, error) {
		c, err := dialUnary(addr, pathUnary, requests(int(conn.Add(1))), succeeded)
		if err != nil {
			return nil, err
		}
		if err := c.register(s.ctx, module); err != nil {
			c.close()
			return nil, err
		}
		return c, nil
	})
}

// echoBody is a BytesValue of the size of a query; the answer is as long.
var echoBody = append([]byte{0x0a, 0xac, 0x02}, make([]byte, 300)...)

func openEcho(_ *setup, t *target, conns int) ([]caller, error) { return openBare(t, conns, echoBody) }

// openLarge asks for an answer as long as a list of 1,000 instances.
func openLarge(_ *setup, t *target, conns int) ([]caller, error) {
	return openBare(t, conns, append([]byte{0x0a, byte(len(wantList))}, wantList...))
}

func openBare(t *target, conns int, body []byte) ([]caller, error) {
	return openMany(conns, func() (caller, error) {
		return dialUnary(t.http(), pathUnary, func(int) []byte { return body }, anyAnswer)
	})
}

func openPublish(content string) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		return openRequests(t, conns, publishRequest(s.keys.fresh(), content))
	}
}

func openPublishGRPC(content string) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		return openSDK(s, t, "config", conns, publishPayload(s.keys.fresh(), content))
	}
}

func openPut(content string) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		req := putRequest(s.keys.fresh(), content)
		return openMany(conns, func() (caller, error) { return dialUnary(t.http(), "/etcdserverpb.KV/Put", req, anyAnswer) })
	}
}

// services of the rows that register, and instances in each.
const (
	services    = 100
	perService  = 200
	allBeating  = services * perService
	churnOffset = 1 << 20 // addresses of their own
)

func serviceName(n int) string { return fmt.Sprintf("service-%03d", n%services) }

// openChurn registers and deregisters by turns on each connection, each time
// another port of one of the services.
func openChurn(s *setup, t *target, conns int) ([]caller, error) {
	return openSDKs(s, t, "naming", conns, func(conn int) func(int) []byte {
		turn, i := 0, newInstance("", churnOffset+conn)
		return func(int) []byte {
			service, kind := serviceName(conn+turn/2), "registerInstance"
			if turn%2 == 1 {
				kind = "deregisterInstance"
			}
			i.Port = 1024 + turn/2%60_000
			turn++
			return instancePayload(kind, service, i)
		}
	})
}

// openRegister registers a bounded set of instances, in each lap with another
// weight, so that every request changes something.
func openRegister(_ *setup, t *target, conns int) ([]caller, error) {
	return openRequests(t, conns, func(n int) []byte {
		i := newInstance("", n%allBeating)
		i.Weight = float64(1 + n/allBeating%10_000)
		return registerRequest(serviceName(n%allBeating), i)
	})
}

// openBeats registers the set once, then sends light beats.
func openBeats(s *setup, t *target, conns int) ([]caller, error) {
	if err := s.registerAll(t); err != nil {
		return nil, err
	}
	return openRequests(t, conns, beatRequest)
}

func beatRequest(n int) []byte {
	i := newInstance("", n%allBeating)
	return lightBeat(serviceName(n%allBeating), i)
}

// registerAll registers the set that beats.
func (s *setup) registerAll(t *target) error {
	return fill(s.ctx, t, allBeating, func(n int) []byte { return registerRequest(serviceName(n), newInstance("", n)) })
}

// openList reads a list over HTTP that was registered just before.
func openList(n int, path func(string) string) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		if err := s.registerService(t, n); err != nil {
			return nil, err
		}
		return openRequests(t, conns, getRequest(path(sizedService(n))))
	}
}

func openService(n int) opener {
	return func(s *setup, t *target, conns int) ([]caller, error) {
		if err := s.registerService(t, n); err != nil {
			return nil, err
		}
		req := servicePayload(sizedService(n))
		return openSDK(s, t, "naming", conns, func(int) []byte { return req })
	}
}

func sizedService(n int) string { return fmt.Sprintf("sized-%d", n) }

func (s *setup) registerService(t *target, n int) error {
	service := sizedService(n)
	err := fill(s.ctx, t, n, func(k int) []byte { return registerRequest(service, newInstance("", k)) })
	if err != nil {
		return err
	}
	return hasHosts(s.ctx, t, service, n)
}
