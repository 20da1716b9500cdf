package http2

import (
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/easynet-cn/batata/e2e/node"
)

// least is how many cases there are; fewer have not run.
const least = 146

// Every case of RFC 7540 and RFC 7541, strict ones too, passes: none is expected
// to fail.
func TestH2Spec(t *testing.T) {
	n := node.New(t, node.Options{})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &config.Config{
		Host: "127.0.0.1", Port: n.Port + 1000, Path: "/Request/request", Timeout: 2 * time.Second,
		MaxHeaderLen: 4000, Strict: true,
	}
	passed := 0
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		passed += report(t, group)
	}
	if passed < least {
		t.Errorf("%d cases passed, want at least %d", passed, least)
	}
}

// report tells the failures of a group and counts what passed.
func report(t *testing.T, g *spec.TestGroup) (passed int) {
	t.Helper()
	for _, tc := range append(g.Tests, g.StrictTests...) {
		switch r := tc.Result; {
		case r == nil:
			t.Errorf("%s: %s has not run", g.ID(), tc.Desc)
		case r.Skipped:
			t.Errorf("%s/%d: %s was skipped", g.ID(), r.Sequence, tc.Desc)
		case r.Failed:
			t.Errorf("%s/%d: %s: %v", g.ID(), r.Sequence, tc.Desc, r.Error)
		default:
			passed++
		}
	}
	for _, sub := range g.Groups {
		passed += report(t, sub)
	}
	return passed
}
