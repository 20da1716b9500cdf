package members

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/easynet-cn/batata/core/cluster"
	"github.com/easynet-cn/batata/core/plugin"
)

// The states of a member (NAD-CLU-10).
const (
	starting   = "STARTING"
	up         = "UP"
	suspicious = "SUSPICIOUS"
	down       = "DOWN"
	isolation  = "ISOLATION"
)

// reference is the version whose API this is: others look at its first number
// (NAD-CORE-70).
const reference = "3.1.0"

// raftPort is the port that the reference names for raft, a thousand below the
// main one. Nothing listens there: members speak on one port (NAD-CLU-33).
func raftPort(main int) string { return strconv.Itoa(max(main-1000, 0)) }

// groups are the names under which the reference knows its groups of raft. Here
// one group stands for all (NAD-CLU-13, NAD-CLU-30).
func groups() [5]string {
	return [...]string{
		"lock_acquire_service_v2", "naming_instance_metadata", "naming_persistent_service",
		"naming_persistent_service_v2", "naming_service_metadata",
	}
}

// node is one member.
type node struct {
	IP         string         `json:"ip"`
	Port       int            `json:"port"`
	State      string         `json:"state"`
	Extend     map[string]any `json:"extendInfo"`
	Address    string         `json:"address"`
	Abilities  abilities      `json:"abilities"`
	GRPCReport bool           `json:"grpcReportEnabled"`
	Fails      int            `json:"failAccessCnt"`
}

type abilities struct {
	Remote struct {
		Connection bool `json:"supportRemoteConnection"`
		GRPCReport bool `json:"grpcReportEnabled"`
	} `json:"remoteAbility"`
	Config struct {
		Metrics bool `json:"supportRemoteMetrics"`
	} `json:"configAbility"`
	Naming struct {
		Raft bool `json:"supportJraft"`
	} `json:"namingAbility"`
}

// metadata is what a member tells of one group.
type metadata struct {
	Leader  string   `json:"leader"`
	Members []string `json:"raftGroupMember"`
	Term    uint64   `json:"term"`
}

// view is the members at one moment.
type view struct {
	members []*cluster.Member
	self    uint64
	state   cluster.State
	now     time.Time
}

// nodes are the members in the order of their addresses.
func (v *view) nodes() []node {
	raft := v.raft()
	out := make([]node, len(v.members))
	for i, m := range v.members {
		out[i] = v.node(m, raft)
	}
	slices.SortFunc(out, func(a, b node) int { return strings.Compare(a.Address, b.Address) })
	return out
}

// raft is what all members tell of all groups.
func (v *view) raft() map[string]metadata {
	all := metadata{Members: []string{}, Term: v.state.Term}
	for _, m := range v.members {
		host, port := address(m)
		at := net.JoinHostPort(host, raftPort(port))
		if m.ID == v.state.Leader {
			all.Leader = at
		}
		if m.Voter {
			all.Members = append(all.Members, at)
		}
	}
	slices.Sort(all.Members)
	out := map[string]metadata{}
	for _, g := range groups() {
		out[g] = all
	}
	return out
}

func (v *view) node(m *cluster.Member, raft map[string]metadata) node {
	host, port := address(m)
	heard := m.Heard
	if m.ID == v.self {
		heard = v.now
	}
	n := node{
		IP: host, Port: port, Address: net.JoinHostPort(host, strconv.Itoa(port)), State: v.stateOf(m),
		Extend: map[string]any{
			"lastRefreshTime": millis(heard), "raftMetaData": map[string]any{"metaDataMap": raft},
			"raftPort": raftPort(port), "readyToUpgrade": true, "supportGrayModel": true, "version": reference,
		},
		GRPCReport: true, Fails: m.Fails,
	}
	for key, value := range siteOf(m) {
		n.Extend[key] = value
	}
	if m.ID != v.self {
		n.Extend["breaker"] = m.Breaker // ARC-R13
	}
	n.Abilities.Remote.Connection, n.Abilities.Remote.GRPCReport, n.Abilities.Naming.Raft = true, true, true
	return n
}

// siteOf is what an operator says of a member; what is not set is left out
// (NAD-CLU-11).
func siteOf(m *cluster.Member) map[string]string {
	out := maps.Clone(m.Meta)
	maps.DeleteFunc(out, func(key, value string) bool {
		return value == "" || key != "site" && key != "weight" && key != "adWeight"
	})
	return out
}

func (v *view) stateOf(m *cluster.Member) string {
	switch {
	case m.State == cluster.Leaving:
		return isolation // it is about to stop
	case m.ID == v.self:
		return up
	case m.State == cluster.Suspect:
		return suspicious
	case m.State == cluster.Down:
		return down
	case m.Addrs[plugin.Main] == "":
		return starting // it has not said where clients reach it
	}
	return up
}

// address is where clients reach a member, or where members do until it has said
// so.
func address(m *cluster.Member) (host string, port int) {
	for _, name := range [...]string{plugin.Main, "peer"} {
		h, p, err := net.SplitHostPort(m.Addrs[name])
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(p); err == nil {
			return h, n
		}
	}
	return "", 0
}

// millis is a time as clients read it; none is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
