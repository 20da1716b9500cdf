package authz

import (
	"context"
	"fmt"
	"slices"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
)

// policy is the whole directory at one epoch, ready for decisions. Immutable.
type policy struct {
	epoch  uint64
	users  map[string]userRow
	roles  map[string][]string // by user, sorted
	grants map[string][]rule   // by role
}

// rule is one grant with its resource compiled.
type rule struct {
	resource pattern
	actions  []auth.Action
}

func (r rule) allows(a auth.Action) bool {
	return slices.Contains(r.actions, a)
}

// current returns the policy of the applied state.
func (e *Engine) current(ctx context.Context) (*policy, error) {
	v, err := e.settings.Store.View(ctx, kv.Local)
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	epoch, err := epochOf(ctx, v)
	if err != nil {
		return nil, err
	}
	if p := e.policy.Load(); p != nil && p.epoch == epoch {
		return p, nil
	}
	p, err := loadPolicy(ctx, v, epoch)
	if err != nil {
		return nil, err
	}
	e.policy.Store(p)
	return p, nil
}

func loadPolicy(ctx context.Context, v kv.View, epoch uint64) (*policy, error) {
	p := &policy{epoch: epoch, users: map[string]userRow{}, roles: map[string][]string{}, grants: map[string][]rule{}}
	err := eachRow(ctx, v, tableUser, func(key []string, value []byte) error {
		u, err := decodeUser(value)
		p.users[key[0]] = u
		return err
	})
	if err != nil {
		return nil, err
	}
	err = eachRow(ctx, v, tableBind, func(key []string, _ []byte) error {
		p.roles[key[0]] = append(p.roles[key[0]], key[1])
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachRow(ctx, v, tableGrant, func(key []string, value []byte) error {
		r := rule{resource: compile(key[1]), actions: decodeActions(value)}
		p.grants[key[0]] = append(p.grants[key[0]], r)
		return nil
	})
	return p, err
}

// admin says whether user holds the role that may do everything.
func (p *policy) admin(user string) bool {
	return slices.Contains(p.roles[user], auth.AdminRole)
}

// allows says whether one of roles may do what r asks.
func (p *policy) allows(roles []string, r auth.Request) bool {
	text := resourceText(r.Resource)
	for _, role := range roles {
		for _, g := range p.grants[role] {
			if g.allows(r.Action) && g.resource.matches(text) {
				return true
			}
		}
	}
	return false
}
