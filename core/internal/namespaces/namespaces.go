// Package namespaces keeps the labels of tenants in a replicated table of core.
// It owns no goroutine.
package namespaces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
	"github.com/easynet-cn/batata/core/namespace"
)

const table = "namespace"

// Tables declares what the package keeps.
func Tables() []kv.TableSpec { return []kv.TableSpec{{Name: table, Residency: kv.Hot}} }

// Namespaces implements namespace.Namespaces.
type Namespaces struct {
	Store kv.Store
	Now   func() time.Time
}

var _ namespace.Namespaces = Namespaces{}

type row struct {
	Name    string `json:"name,omitempty"`
	Desc    string `json:"desc,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Created int64  `json:"created"`
}

func key(id string) []byte { return tuple.AppendString(nil, id) }

// Get implements namespace.Namespaces.
func (n Namespaces) Get(ctx context.Context, id string) (*namespace.Namespace, error) {
	rec, err := n.Store.Get(ctx, table, key(id))
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", id, err)
	}
	return decode(rec)
}

func decode(rec *kv.Record) (*namespace.Namespace, error) {
	id, _, err := tuple.String(rec.Key)
	if err != nil {
		return nil, fmt.Errorf("read namespace: %w", err)
	}
	var r row
	if err := json.Unmarshal(rec.Value, &r); err != nil {
		return nil, fmt.Errorf("read namespace %s: %w", id, err)
	}
	return &namespace.Namespace{ID: id, Name: r.Name, Desc: r.Desc, Kind: r.Kind, Created: r.Created}, nil
}

// List implements namespace.Namespaces.
func (n Namespaces) List(ctx context.Context, from string, limit int) ([]*namespace.Namespace, error) {
	v, err := n.Store.View(ctx, kv.Local)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	r := kv.Range{Table: table, Limit: limit}
	if from != "" {
		r.From = append(key(from), 0) // just behind it
	}
	page, err := v.Range(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	out := make([]*namespace.Namespace, 0, len(page.Records))
	for _, rec := range page.Records {
		x, err := decode(rec)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// Apply implements namespace.Namespaces: all ops or none.
func (n Namespaces) Apply(ctx context.Context, _ auth.Actor, ops []namespace.Op) error {
	var t kv.Txn
	for _, o := range ops {
		if o.Put == nil {
			t.Then = append(t.Then, kv.Op{Kind: kv.Delete, Table: table, Key: key(o.Drop)})
			continue
		}
		created, err := n.created(ctx, o.Put.ID)
		if err != nil {
			return err
		}
		value, err := json.Marshal(row{Name: o.Put.Name, Desc: o.Put.Desc, Kind: o.Put.Kind, Created: created})
		if err != nil {
			return fmt.Errorf("write namespace: %w", err)
		}
		if o.New {
			t.If = append(t.If, kv.Compare{Table: table, Key: key(o.Put.ID), Target: kv.Modified, Rel: kv.Equal})
		}
		t.Then = append(t.Then, kv.Op{Kind: kv.Put, Table: table, Key: key(o.Put.ID), Value: value, SkipEqual: true})
	}
	res, err := n.Store.Commit(ctx, t)
	if err != nil {
		return fmt.Errorf("write namespaces: %w", err)
	}
	if !res.Committed {
		return namespace.ErrExists
	}
	return nil
}

// created keeps the time of a namespace that exists.
func (n Namespaces) created(ctx context.Context, id string) (int64, error) {
	x, err := n.Get(ctx, id)
	switch {
	case err == nil:
		return x.Created, nil
	case errors.Is(err, kv.ErrNotFound):
		return n.Now().UnixMilli(), nil
	}
	return 0, err
}
