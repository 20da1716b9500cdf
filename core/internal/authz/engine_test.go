package authz_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/easynet-cn/batata/core"
	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/coretest"
	"github.com/easynet-cn/batata/core/internal/authz"
	"github.com/easynet-cn/batata/core/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse"

// fixture is an engine on the tables of a real node, with a clock of its own.
type fixture struct {
	*authz.Engine
	store   *interposed
	elapsed atomic.Int64 // nanoseconds
}

// interposed runs a function before the next commit.
type interposed struct {
	kv.Store
	before atomic.Pointer[func()]
}

func (s *interposed) Commit(ctx context.Context, t kv.Txn) (kv.Result, error) {
	if f := s.before.Swap(nil); f != nil {
		(*f)()
	}
	return s.Store.Commit(ctx, t)
}

func newFixture(t *testing.T, change ...func(*authz.Settings)) *fixture {
	t.Helper()
	n := coretest.Start(t, func(c *core.Config) { c.Tables = authz.Tables() })
	f := &fixture{store: &interposed{Store: n.KV()}}
	start := time.Now()
	s := authz.Settings{
		Store: f.store, Secret: []byte(strings.Repeat("k", authz.MinSecret)), TTL: time.Hour,
		Now: func() time.Time { return start.Add(time.Duration(f.elapsed.Load())) }, PasswordCost: bcrypt.MinCost,
	}
	for _, c := range change {
		c(&s)
	}
	var err error
	if f.Engine, err = authz.New(s); err != nil {
		t.Fatalf("New() = %v", err)
	}
	return f
}

func (f *fixture) apply(t *testing.T, ops ...auth.Op) {
	t.Helper()
	if err := f.Apply(t.Context(), auth.Actor{}, ops); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
}

func user(name, password string) auth.Op {
	return auth.Op{PutUser: &auth.User{Name: name, Enabled: true}, Password: []byte(password)}
}

func (f *fixture) login(t *testing.T, name, password string) (*auth.Identity, error) {
	t.Helper()
	return f.Authenticate(t.Context(), auth.Credentials{User: name, Password: []byte(password), Addr: "10.0.0.1"})
}

func (f *fixture) allowed(t *testing.T, id *auth.Identity, a auth.Action, r auth.Resource) bool {
	t.Helper()
	ds, err := f.Authorize(t.Context(), id, []auth.Request{{Resource: r, Action: a}})
	if err != nil || len(ds) != 1 || ds[0].Allowed == (ds[0].Reason != "") {
		t.Fatalf("Authorize() = %+v, %v", ds, err)
	}
	return ds[0].Allowed
}

var config = auth.Resource{Kind: "config", Namespace: "dev", Group: "g", Name: "app"}

func TestNewRefuses(t *testing.T) {
	secret := []byte(strings.Repeat("k", authz.MinSecret))
	for name, s := range map[string]authz.Settings{
		"short secret": {Secret: secret[1:], TTL: time.Hour},
		"no life":      {Secret: secret},
		"low cost":     {Secret: secret, TTL: time.Hour, PasswordCost: bcrypt.MinCost - 1},
		"high cost":    {Secret: secret, TTL: time.Hour, PasswordCost: bcrypt.MaxCost + 1},
	} {
		if _, err := authz.New(s); err == nil {
			t.Errorf("New(%s) = nil error", name)
		}
	}
}

// NAD-AUTH-70: who says nothing gets the cost of servers, on every way a password is
// stored and for users that are not there.
func TestPasswordCost(t *testing.T) {
	for _, tt := range []struct{ set, want int }{{0, 10}, {bcrypt.MinCost, bcrypt.MinCost}} {
		f := newFixture(t, func(s *authz.Settings) { s.PasswordCost = tt.set })
		if err := f.Bootstrap(t.Context(), auth.FirstAdmin{Local: true, User: "root", Password: []byte(password)}); err != nil {
			t.Fatal(err)
		}
		f.apply(t, user("alice", password))
		var costs []int
		f.Compare(func(hash []byte) error {
			cost, err := bcrypt.Cost(hash)
			if err != nil || !strings.HasPrefix(string(hash), "$2a$") {
				t.Errorf("Cost(%s) = %v, want a hash of bcrypt 2a", hash, err)
			}
			costs = append(costs, cost)
			return errors.New("wrong")
		})
		for _, name := range []string{"root", "alice", "nobody"} {
			if _, err := f.login(t, name, password); !errors.Is(err, auth.ErrCredentials) {
				t.Errorf("Authenticate(%s) = %v, want %v", name, err, auth.ErrCredentials)
			}
		}
		if want := []int{tt.want, tt.want, tt.want}; !slices.Equal(costs, want) {
			t.Errorf("costs compared with PasswordCost %d = %v, want %v", tt.set, costs, want)
		}
	}
}

// PRD-12: one first administrator for the life of the store, whoever asks.
func TestBootstrap(t *testing.T) {
	f := newFixture(t)
	if done, err := f.Bootstrapped(t.Context()); done || err != nil {
		t.Errorf("Bootstrapped() = %v, %v, want false", done, err)
	}
	var weak *auth.PasswordError
	for name, pw := range map[string]string{"short": "short", "known": "nacos", "blank": ""} {
		if err := f.Bootstrap(t.Context(), auth.FirstAdmin{User: "root", Password: []byte(pw), Local: true}); !errors.As(err, &weak) {
			t.Errorf("Bootstrap(%s) = %v, want a refusal of the password", name, err)
		}
	}
	if err := f.Bootstrap(t.Context(), auth.FirstAdmin{Password: []byte(password), Local: true}); err == nil {
		t.Error("Bootstrap(blank name) = nil error")
	}
	var (
		wg   sync.WaitGroup
		wins atomic.Int32
	)
	for i := range 3 {
		wg.Go(func() {
			err := f.Bootstrap(t.Context(), auth.FirstAdmin{User: fmt.Sprint("root", i), Password: []byte(password), Local: true})
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, auth.ErrBootstrapped):
				t.Errorf("Bootstrap(%d) = %v", i, err)
			}
		})
	}
	wg.Wait()
	users, err := f.Users(t.Context(), auth.Query{})
	if wins.Load() != 1 || err != nil || len(users) != 1 {
		t.Fatalf("first administrators = %d, users %v, %v, want one", wins.Load(), users, err)
	}
	id, err := f.login(t, users[0].Name, password)
	if err != nil || !id.Actor.Admin || !slices.Equal(id.Roles, []string{auth.AdminRole}) || !f.allowed(t, id, auth.Manage, config) {
		t.Errorf("Authenticate(admin) = %+v, %v", id, err)
	}
	f.apply(t, auth.Op{DropUser: users[0].Name})
	if err := f.Bootstrap(t.Context(), auth.FirstAdmin{User: "x", Password: []byte(password), Local: true}); !errors.Is(err, auth.ErrBootstrapped) {
		t.Errorf("Bootstrap() after the drop = %v, want %v", err, auth.ErrBootstrapped)
	}
}

// PRD-12: callers elsewhere need the token, and may not guess it.
func TestSetupToken(t *testing.T) {
	remote := auth.FirstAdmin{User: "root", Password: []byte(password), Addr: "10.0.0.9"}
	closed := newFixture(t)
	if err := closed.Bootstrap(t.Context(), remote); !errors.Is(err, auth.ErrSetupToken) {
		t.Errorf("Bootstrap() without a token set = %v, want %v", err, auth.ErrSetupToken)
	}
	f := newFixture(t, func(s *authz.Settings) { s.SetupToken = "open sesame" })
	for range 5 {
		if err := f.Bootstrap(t.Context(), remote); !errors.Is(err, auth.ErrSetupToken) {
			t.Errorf("Bootstrap(no token) = %v, want %v", err, auth.ErrSetupToken)
		}
	}
	remote.Token = "open sesame"
	var locked *auth.LockedError
	if err := f.Bootstrap(t.Context(), remote); !errors.As(err, &locked) {
		t.Errorf("Bootstrap() after five wrong tokens = %v, want a lock", err)
	}
	remote.Addr = "10.0.0.8"
	if err := f.Bootstrap(t.Context(), remote); err != nil {
		t.Errorf("Bootstrap() from elsewhere = %v", err)
	}
}

// SEC-07: an unknown user and a wrong password look alike; too many lock the
// pair of user and address, for a while.
func TestLogin(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", password), auth.Op{PutUser: &auth.User{Name: "off"}, Password: []byte(password)})
	id, err := f.login(t, "alice", password)
	if err != nil || id.Actor != (auth.Actor{Subject: "alice", Source: "password", Addr: "10.0.0.1"}) {
		t.Errorf("Authenticate(alice) = %+v, %v", id, err)
	}
	for name, c := range map[string]auth.Credentials{
		"wrong password": {User: "alice", Password: []byte("x"), Addr: "a"},
		"no password":    {User: "alice", Addr: "b"},
		"unknown user":   {User: "bob", Password: []byte(password)},
		"disabled user":  {User: "off", Password: []byte(password)},
		"nothing":        {},
	} {
		if id, err := f.Authenticate(t.Context(), c); id != nil || !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("Authenticate(%s) = %+v, %v, want %v", name, id, err, auth.ErrCredentials)
		}
	}
	for range 5 {
		_, _ = f.login(t, "alice", "wrong")
	}
	var locked *auth.LockedError
	if _, err := f.login(t, "alice", password); !errors.As(err, &locked) {
		t.Errorf("Authenticate() after five failures = %v, want a lock", err)
	}
	if _, err := f.Authenticate(t.Context(), auth.Credentials{User: "alice", Password: []byte(password), Addr: "10.0.0.2"}); err != nil {
		t.Errorf("Authenticate() from elsewhere = %v", err)
	}
	f.elapsed.Store(int64(2 * time.Minute))
	if _, err := f.login(t, "alice", password); err != nil {
		t.Errorf("Authenticate() after the lock = %v", err)
	}
}

// CTR-A01: a token holds until its end, and only while its user may log in,
// remembered or not.
func TestToken(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", password))
	id, err := f.login(t, "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	token, ttl, err := f.Issue(t.Context(), id, 0)
	if err != nil || ttl != time.Hour {
		t.Fatalf("Issue() = %v, %v, want an hour", ttl, err)
	}
	with := func(token, addr string) (*auth.Identity, error) {
		return f.Authenticate(t.Context(), auth.Credentials{Token: token, Addr: addr, User: "alice", Password: []byte("ignored")})
	}
	for _, addr := range []string{"a", "b", "a"} {
		got, err := with(token, addr)
		if err != nil || got.Actor != (auth.Actor{Subject: "alice", Source: "token", Addr: addr}) {
			t.Errorf("Authenticate(token) = %+v, %v", got, err)
		}
	}
	if _, err := with(token[:len(token)-4]+"AAAA", "a"); !errors.Is(err, auth.ErrTokenSignature) {
		t.Errorf("Authenticate(forged) = %v, want %v", err, auth.ErrTokenSignature)
	}
	f.apply(t, auth.Op{PutUser: &auth.User{Name: "alice"}})
	if _, err := with(token, "a"); !errors.Is(err, auth.ErrTokenSubject) || !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("Authenticate(token of a disabled user) = %v, want %v", err, auth.ErrTokenSubject)
	}
	f.apply(t, auth.Op{PutUser: &auth.User{Name: "alice", Enabled: true}})
	if _, err := with(token, "a"); err != nil {
		t.Errorf("Authenticate(token) = %v", err)
	}
	f.elapsed.Store(int64(time.Hour + 2*time.Second))
	if _, err := with(token, "a"); !errors.Is(err, auth.ErrTokenExpired) || !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("Authenticate(old token) = %v, want %v", err, auth.ErrTokenExpired)
	}
}

// Nothing is allowed that no grant allows, and a change counts at once.
func TestGrants(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", password))
	id, err := f.login(t, "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*auth.Identity{"anonymous": nil, "alice": id} {
		if f.allowed(t, who, auth.Read, config) {
			t.Errorf("Authorize(%s) without grants = allowed", name)
		}
	}
	before, err := f.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	grant := &auth.Grant{Role: "dev", Resource: "dev:*:config/*", Actions: []auth.Action{auth.Read, auth.List}}
	f.apply(t, auth.Op{Bind: &auth.Binding{User: "alice", Role: "dev"}}, auth.Op{Grant: grant})
	if after, err := f.Epoch(t.Context()); err != nil || after <= before {
		t.Errorf("Epoch() = %d, %v, want above %d", after, err, before)
	}
	elsewhere := config
	elsewhere.Namespace = "prod"
	service := config
	service.Kind = "naming"
	for _, tt := range []struct {
		id     *auth.Identity
		action auth.Action
		r      auth.Resource
		want   bool
	}{
		{id, auth.Read, config, true},
		{id, auth.List, config, true},
		{id, auth.Write, config, false},
		{id, auth.Read, elsewhere, false},
		{id, auth.Read, service, false},
		{nil, auth.Read, config, false},
	} {
		if got := f.allowed(t, tt.id, tt.action, tt.r); got != tt.want {
			t.Errorf("Authorize(%v, %d, %v) = %v, want %v", tt.id != nil, tt.action, tt.r, got, tt.want)
		}
	}
	f.apply(t, auth.Op{Ungrant: grant})
	if f.allowed(t, id, auth.Read, config) {
		t.Error("Authorize() after Ungrant = allowed")
	}
	f.apply(t, auth.Op{Grant: grant}, auth.Op{Unbind: &auth.Binding{User: "alice", Role: "dev"}})
	if f.allowed(t, id, auth.Read, config) {
		t.Error("Authorize() after Unbind = allowed")
	}
	f.apply(t, auth.Op{Bind: &auth.Binding{User: "alice", Role: "dev"}}, auth.Op{DropUser: "alice"})
	if f.allowed(t, id, auth.Read, config) {
		t.Error("Authorize() after DropUser = allowed")
	}
}

// The role that may do everything cannot be had by Apply, and a batch with a
// bad op does nothing.
func TestApplyRefuses(t *testing.T) {
	f := newFixture(t)
	admin := &auth.Binding{User: "alice", Role: auth.AdminRole}
	for name, op := range map[string]auth.Op{
		"bind admin": {Bind: admin}, "unbind admin": {Unbind: admin}, "empty": {},
		"blank user": {PutUser: &auth.User{}, Password: []byte(password)}, "no password": {PutUser: &auth.User{Name: "bob"}},
	} {
		if err := f.Apply(t.Context(), auth.Actor{}, []auth.Op{{Bind: &auth.Binding{User: "alice", Role: "dev"}}, op}); err == nil {
			t.Errorf("Apply(%s) = nil error", name)
		}
	}
	if roles, err := f.Roles(t.Context(), auth.Query{}); len(roles) != 0 || err != nil {
		t.Errorf("Roles() = %v, %v, want none", roles, err)
	}
}

// Who enables a user keeps the password, also one that was changed meanwhile.
func TestPutUserRace(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", "old password"))
	change := func() { f.apply(t, user("alice", "new password")) }
	f.store.before.Store(&change)
	f.apply(t, auth.Op{PutUser: &auth.User{Name: "alice", Enabled: true}})
	if _, err := f.login(t, "alice", "old password"); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("Authenticate(old password) = %v, want %v", err, auth.ErrCredentials)
	}
	if _, err := f.login(t, "alice", "new password"); err != nil {
		t.Errorf("Authenticate(new password) = %v", err)
	}
}

func TestListings(t *testing.T) {
	f := newFixture(t)
	f.apply(t, user("alice", password), user("alina", password), user("bob", password),
		auth.Op{Bind: &auth.Binding{User: "alice", Role: "dev"}}, auth.Op{Bind: &auth.Binding{User: "alice", Role: "ops"}},
		auth.Op{Bind: &auth.Binding{User: "bob", Role: "dev"}},
		auth.Op{Grant: &auth.Grant{Role: "dev", Resource: "*", Actions: []auth.Action{auth.Read}}},
		auth.Op{Grant: &auth.Grant{Role: "ops", Resource: "*", Actions: []auth.Action{auth.Write}}})
	for _, tt := range []struct {
		q                    auth.Query
		users, roles, grants string
	}{
		{auth.Query{}, "alice alina bob", "alice/dev alice/ops bob/dev", "dev ops"},
		{auth.Query{User: "ali", Fuzzy: true}, "alice alina", "alice/dev alice/ops", "dev ops"},
		{auth.Query{User: "ali"}, "", "", "dev ops"},
		{auth.Query{Role: "dev"}, "alice alina bob", "alice/dev bob/dev", "dev"},
		{auth.Query{Limit: 1}, "alice", "alice/dev", "dev"},
		{auth.Query{From: "alice"}, "alina bob", "bob/dev", "dev ops"},
		{auth.Query{From: "dev"}, "", "", "ops"},
	} {
		us, err1 := f.Users(t.Context(), tt.q)
		rs, err2 := f.Roles(t.Context(), tt.q)
		gs, err3 := f.Grants(t.Context(), tt.q)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		users := joined(us, func(u auth.User) string { return u.Name })
		roles := joined(rs, func(b auth.Binding) string { return b.User + "/" + b.Role })
		grants := joined(gs, func(g auth.Grant) string { return g.Role })
		if users != tt.users || roles != tt.roles || grants != tt.grants {
			t.Errorf("listings of %+v = %q, %q, %q, want %q, %q, %q", tt.q, users, roles, grants, tt.users, tt.roles, tt.grants)
		}
	}
}

func joined[T any](list []T, text func(T) string) string {
	var out []string
	for _, x := range list {
		out = append(out, text(x))
	}
	return strings.Join(out, " ")
}
