package authz

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/core/kv/tuple"
)

// userRow is the value of a user. Its hash never leaves this package.
type userRow struct {
	Hash    string `json:"hash"`
	Enabled bool   `json:"enabled"`
}

func encodeUser(u userRow) ([]byte, error) {
	b, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("encode user: %w", err)
	}
	return b, nil
}

func decodeUser(b []byte) (userRow, error) {
	var u userRow
	if err := json.Unmarshal(b, &u); err != nil {
		return u, fmt.Errorf("decode user: %w", err)
	}
	return u, nil
}

// Actions are stored as one byte each.
func encodeActions(as []auth.Action) []byte {
	b := make([]byte, len(as))
	for i, a := range as {
		b[i] = byte(a)
	}
	return b
}

func decodeActions(b []byte) []auth.Action {
	as := make([]auth.Action, len(b))
	for i, c := range b {
		as[i] = auth.Action(c)
	}
	return as
}

// key builds the key of a row from its parts.
func key(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = tuple.AppendString(b, p)
	}
	return b
}

// eachRow calls fn with the key parts and value of every row of a table, in
// order.
func eachRow(ctx context.Context, v kv.View, table string, fn func(key []string, value []byte) error) error {
	r := kv.Range{Table: table, Limit: kv.MaxPage}
	for {
		page, err := v.Range(ctx, r)
		if err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		for _, rec := range page.Records {
			parts, err := tuple.Strings(rec.Key)
			if err != nil {
				return fmt.Errorf("read %s: %w", table, err)
			}
			if err := fn(parts, rec.Value); err != nil {
				return fmt.Errorf("read %s: %w", table, err)
			}
		}
		if page.Next == nil {
			return nil
		}
		r.From = page.Next
	}
}
