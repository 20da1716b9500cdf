// Package configstoretest is the suite that every implementation of the config
// store passes (CTR-V04).
package configstoretest

import (
	"context"
	"testing"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/txn"
)

// Backend is one implementation under test, with a committer for each of two
// plugins. Restart, when not nil, stops and starts it on the same data.
type Backend struct {
	Configs configstore.Configs
	Txn     func(owner string) txn.Committer
	Restart func(t *testing.T) Backend
}

// Run runs the suite; open returns a fresh backend for each test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"PublishReadRemove": publishReadRemove,
		"NoChange":          noChange,
		"Guards":            guards,
		"History":           history,
		"Variants":          variants,
		"SameBatch":         sameBatch,
		"Foreign":           foreign,
		"Quota":             quotas,
		"QuotaContention":   quotaContention,
		"Search":            search,
		"Watch":             watch,
		"WatchGet":          watchGet,
		"Restart":           restart,
		"Meta":              meta,
		"Limits":            limits,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	owner = "one"
	other = "two"
)

var alice = auth.Actor{Subject: "alice", Addr: "10.0.0.1"}

func key(name string) configstore.Key {
	return configstore.Key{Namespace: "ns", Group: "g", Name: name}
}

// publish writes formal content and returns the outcome.
func publish(t *testing.T, b Backend, name, content string) configstore.Outcome {
	t.Helper()
	out, err := try(b, owner, &configstore.Publish{Key: key(name), Content: []byte(content), Type: "text"})
	if err != nil {
		t.Fatalf("Publish(%s) = %v", name, err)
	}
	return out
}

func try(b Backend, by string, p *configstore.Publish) (configstore.Outcome, error) {
	return txn.Publish(context.Background(), b.Txn(by), alice, configstore.Op{Publish: p})
}

func remove(t *testing.T, b Backend, r configstore.Remove) configstore.Outcome {
	t.Helper()
	out, err := txn.Publish(t.Context(), b.Txn(owner), alice, configstore.Op{Remove: &r})
	if err != nil {
		t.Fatalf("Remove(%v) = %v", r.Key, err)
	}
	return out
}

func wantContent(t *testing.T, b Backend, name string, labels configstore.Pairs, want string) *configstore.Item {
	t.Helper()
	item, err := b.Configs.Get(t.Context(), key(name), labels)
	if err != nil || string(item.Content) != want {
		t.Fatalf("Get(%s) = %v, %v, want %q", name, item, err, want)
	}
	return item
}

func head(t *testing.T, b Backend, name string) *configstore.Head {
	t.Helper()
	hs, err := b.Configs.Heads(t.Context(), []configstore.Key{key(name)}, nil)
	if err != nil || len(hs) != 1 {
		t.Fatalf("Heads(%s) = %v, %v", name, hs, err)
	}
	return hs[0]
}
