package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// clusterTimeout bounds a change of the cluster.
const clusterTimeout = time.Minute

// The paths of the cluster.
const (
	listPath     = "/admin/cluster/list"
	addPath      = "/admin/cluster/add"
	removePath   = "/admin/cluster/remove"
	transferPath = "/admin/cluster/transfer"
	formPath     = "/admin/cluster/init"
)

// Member is one member as the operator sees it.
type Member struct {
	ID      string `json:"id"` // sixteen hexadecimal digits
	Name    string `json:"name"`
	Peer    string `json:"peer"` // address for other members
	Main    string `json:"main"` // address for clients
	State   string `json:"state"`
	Role    string `json:"role"` // leader, voter, learner
	Self    bool   `json:"self"`
	Breaker string `json:"breaker"`
	Version string `json:"version"`
}

// List is what there is to say about the cluster.
type List struct {
	Cluster string   `json:"cluster"`         // id, sixteen hexadecimal digits; empty: none
	Waits   string   `json:"waits,omitempty"` // for what a member waits that is in none
	Members []Member `json:"members"`
}

// Cluster is what the socket tells and changes of it. Members are named by their
// id, their name, or one of their addresses.
type Cluster interface {
	List(ctx context.Context) (List, error)
	Add(ctx context.Context, address string) error
	Remove(ctx context.Context, member string) error
	Transfer(ctx context.Context, member string) error
	Form(ctx context.Context) error
}

type target struct {
	Member string `json:"member"`
}

type listAnswer struct {
	answer
	List
}

func clusterRoutes(mux *http.ServeMux, c Cluster) {
	mux.HandleFunc("POST "+listPath, func(w http.ResponseWriter, r *http.Request) {
		l, err := c.List(r.Context())
		if err != nil {
			reply(w, http.StatusServiceUnavailable, err)
			return
		}
		w.WriteHeader(http.StatusOK)
		_ = json.NewEncoder(w).Encode(listAnswer{List: l}) // the client may be gone
	})
	for path, do := range map[string]func(context.Context, string) error{
		addPath: c.Add, removePath: c.Remove, transferPath: c.Transfer,
		formPath: func(ctx context.Context, _ string) error { return c.Form(ctx) },
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var t target
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&t); err != nil {
				reply(w, http.StatusBadRequest, err)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), clusterTimeout)
			defer cancel()
			if err := do(ctx, t.Member); err != nil {
				reply(w, http.StatusConflict, err)
				return
			}
			reply(w, http.StatusOK, nil)
		})
	}
}

// ListMembers asks the server that runs on dir who the members are.
func ListMembers(ctx context.Context, dir string) (List, error) {
	var l listAnswer
	err := ask(ctx, dir, listPath, timeout, struct{}{}, &l)
	return l.List, err
}

// Add lets the member at an address join.
func Add(ctx context.Context, dir, address string) error {
	return ask(ctx, dir, addPath, clusterTimeout+timeout, target{address}, nil)
}

// Remove takes a member out.
func Remove(ctx context.Context, dir, member string) error {
	return ask(ctx, dir, removePath, clusterTimeout+timeout, target{member}, nil)
}

// Transfer makes a member lead; empty: whoever has come furthest.
func Transfer(ctx context.Context, dir, member string) error {
	return ask(ctx, dir, transferPath, clusterTimeout+timeout, target{member}, nil)
}

// Form makes the server form a cluster although others are silent.
func Form(ctx context.Context, dir string) error {
	return ask(ctx, dir, formPath, timeout, target{}, nil)
}
