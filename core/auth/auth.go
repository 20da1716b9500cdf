// Package auth is the contract of identity and permission: who calls, what they
// may do, and the directory of users, roles and grants.
//
// Who acts is data (Actor) in every write, never a context value. Refusals are
// Decisions, not errors; an error means that no decision could be made, and the
// protocol must then refuse.
package auth

import (
	"context"
	"errors"
	"time"
)

// ErrCredentials covers an unknown user and a wrong secret alike. Token errors
// below wrap it.
var ErrCredentials = errors.New("invalid credentials")

// Why a token was refused. Each is an ErrCredentials.
var (
	ErrTokenInvalid   = tokenError("token invalid")
	ErrTokenExpired   = tokenError("token expired")
	ErrTokenSignature = tokenError("invalid signature")
	ErrTokenAlgorithm = tokenError("unsupported signature algorithm")
	// ErrTokenSubject is a token in order whose user is not there any more, or is
	// not enabled.
	ErrTokenSubject = tokenError("user of the token gone")
)

type tokenError string

func (e tokenError) Error() string        { return string(e) }
func (e tokenError) Is(target error) bool { return target == ErrCredentials }

// LockedError reports a lockout after failed logins (SEC-07).
type LockedError struct{ Until time.Time }

// Error implements error.
func (e *LockedError) Error() string { return "locked until " + e.Until.Format(time.RFC3339) }

// Actor is who did it.
type Actor struct {
	Subject  string // "alice"; empty: anonymous
	Source   string // "password", "token", "plugin:<name>"
	Addr     string // host part only
	Protocol string // name of the personality
	Admin    bool
}

// Plane is the kind of interface a caller came in by.
type Plane uint8

const (
	// Client is the plane of applications.
	Client Plane = iota + 1
	// Admin is the plane of operators' programs.
	Admin
	// Console is the plane of people.
	Console
)

// Credentials is what a protocol found in a request. Token wins over User.
type Credentials struct {
	Token    string
	User     string
	Password []byte
	Addr     string // host part of the caller's address
	Plane    Plane
}

// Identity is an authenticated caller. It may be cached until Expires or until
// Epoch moves.
type Identity struct {
	Actor   Actor
	Roles   []string
	Expires time.Time // zero: never
	Epoch   uint64
}

// Resource is what a protocol protects, in neutral words. Without a kind it
// belongs to no namespace, and Name is all of it: a grant names it by that text.
type Resource struct{ Kind, Namespace, Group, Name string }

// Action is what is done to a resource.
type Action uint8

const (
	// Read looks at one resource.
	Read Action = iota + 1
	// List looks at many.
	List
	// Write changes.
	Write
	// Manage administers.
	Manage
)

// Request is one question to Authorize.
type Request struct {
	Resource Resource
	Action   Action
}

// Decision is one answer.
type Decision struct {
	Allowed bool
	Reason  string // for the audit trail; empty when allowed
}

// Auth authenticates callers and decides.
type Auth interface {
	// Authenticate checks credentials; ErrCredentials (or a token error) or
	// *LockedError on refusal. Verified tokens and passwords cost a map lookup
	// (CTR-A01): some clients send a password with every request.
	Authenticate(ctx context.Context, c Credentials) (*Identity, error)
	// Authorize answers each request; a nil identity is anonymous and is
	// refused everything.
	Authorize(ctx context.Context, id *Identity, rs []Request) ([]Decision, error)
	// Issue signs a token for id; ttl 0 means the configured one.
	Issue(ctx context.Context, id *Identity, ttl time.Duration) (string, time.Duration, error)
	// Epoch grows with every change of users, roles or grants.
	Epoch(ctx context.Context) (uint64, error)
}

// AdminRole is the role that may do everything. It cannot be bound through
// Apply; it comes with Bootstrap.
const AdminRole = "ROLE_ADMIN"

// Directory keeps users, roles and grants.
type Directory interface {
	Users(ctx context.Context, q Query) ([]User, error)
	Roles(ctx context.Context, q Query) ([]Binding, error)
	Grants(ctx context.Context, q Query) ([]Grant, error)
	// Apply commits all ops or none.
	Apply(ctx context.Context, by Actor, ops []Op) error
	// Bootstrap creates the first administrator, once for the life of the store,
	// atomically (PRD-12): ErrBootstrapped afterwards, *PasswordError for a
	// refused password, ErrSetupToken without the right token,
	// *LockedError after too many wrong ones from one address.
	Bootstrap(ctx context.Context, a FirstAdmin) error
	// Bootstrapped says whether there is, or ever was, an administrator.
	Bootstrapped(ctx context.Context) (bool, error)
}

// FirstAdmin asks for the first administrator. Local callers (this process, the
// admin socket, a loopback address) need no token; others need the one-time
// setup token that the server wrote when it first started.
type FirstAdmin struct {
	User     string
	Password []byte
	Local    bool
	Addr     string // host part of the caller's address, when not Local
	Token    string
}

// ErrSetupToken reports a missing or wrong setup token.
var ErrSetupToken = errors.New("setup token missing or wrong")

// ErrBootstrapped reports that the first administrator exists already.
var ErrBootstrapped = errors.New("an administrator exists already")

// PasswordError says why a password is refused; it never holds the password.
type PasswordError struct{ Reason string }

// Error implements error.
func (e *PasswordError) Error() string { return "password refused: " + e.Reason }

// Query selects entries of the directory; empty fields do not restrict.
type Query struct {
	User, Role string
	Fuzzy      bool   // substring instead of exact
	From       string // exclusive resume point: the last user or role seen
	Limit      int    // 0: 1,000
}

// User is an account; its password is never handed out.
type User struct {
	Name    string
	Enabled bool
}

// Binding gives a user a role.
type Binding struct{ User, Role string }

// Grant gives a role actions on resources; Resource is "namespace:group:kind/name"
// with * for any run of characters.
type Grant struct {
	Role, Resource string
	Actions        []Action
}

// Op is one change of the directory; exactly one of its fields is set, but for
// Password, which goes with PutUser.
type Op struct {
	PutUser  *User
	Password []byte // plain, hashed by core; never stored or logged
	DropUser string
	Bind     *Binding
	Unbind   *Binding
	Grant    *Grant
	Ungrant  *Grant
}
