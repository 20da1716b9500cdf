package clustersdk

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/easynet-cn/batata/e2e/cluster/members"
	"github.com/easynet-cn/batata/e2e/drive"
	"github.com/easynet-cn/batata/e2e/node"
	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// TestSDKs has all SDKs on one cluster, and on each member of it; then the members
// fail in turn.
func TestSDKs(t *testing.T) {
	s := start(t)
	t.Run("every member", s.everyMember)
	t.Run("in turn", s.inTurn)
}

// suite is a cluster and a driver of each SDK.
type suite struct {
	*members.Cluster
	drivers []*drive.Driver // as sdks
	http    *http.Client
}

func start(t *testing.T, sets ...string) *suite {
	t.Helper()
	s := &suite{
		Cluster: members.Run(t, members.Options{Sets: sets}),
		http:    &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	for _, k := range sdks {
		s.drivers = append(s.drivers, k.Start(t))
	}
	return s
}

func address(n *node.Node) string { return fmt.Sprintf("127.0.0.1:%d", n.Port) }

// addresses are those of all members, as SDKs take them.
func (s *suite) addresses() string { return strings.Join(s.Addresses(), ",") }

func config(name string) wire.Item  { return wire.Item{Group: "e2e", DataID: name} }
func service(name string) wire.Item { return wire.Item{Group: "e2e", Service: name} }
