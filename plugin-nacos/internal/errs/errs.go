// Package errs is the one table that says how an error of core or of this
// plugin is told to clients: HTTP status, code of a Result, texts, and the error
// code of a gRPC answer. Every transport renders what Of returns and nothing
// else (STY-33).
package errs

import (
	"errors"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/kv"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
)

// Answer is what clients are told.
type Answer struct {
	Status  int    // of HTTP
	Code    int    // of a Result (nacos-admin.md 1.4)
	Message string // the summary that belongs to Code
	Detail  string // what happened, for people
	GRPC    int    // error code of a gRPC answer
	// Plain answers are the bare text of a filter, not of a handler
	// (NAD-GEN-28).
	Plain bool
	// Servlet answers of V1 naming have the shape of a servlet error: what was
	// refused before a handler, and what the reference fails on (NAC-HTP-07).
	Servlet bool
	// False answers of a V1 config write are the word "false" (NAC-H1C-05).
	False bool
	// Alien answers of gRPC are told in the class of errors, with the code as
	// result code too, instead of the class of the request (NAC-ERR-11).
	Alien bool
}

// ErrStarting reports a server that has not loaded its data: never a 404, which
// would make clients delete their snapshots (NAC-SET-10, NAC-QRK-18).
var ErrStarting = errors.New("server is STARTING now, please try again later!") //nolint:revive,staticcheck // the text of the reference

// ErrBusy reports a server that holds as many requests as it may (NAC-H1C-40).
var ErrBusy = errors.New("server is busy, please try again later!") //nolint:revive,staticcheck // likewise

// The summaries of codes.
const (
	textValidate = "parameter validate error"
	textAccess   = "access denied"
	textData     = "data access error"
	textServer   = "server error"
)

// reasons is the part of the table for what a caller of a config did wrong.
var reasons = map[config.Reason]Answer{
	config.BadFormat:    {Status: 400, Code: 20002, Message: textValidate, GRPC: 400, Plain: true},
	config.BadKey:       {Status: 400, Code: 20002, Message: textValidate, GRPC: 400},
	config.BadTag:       {Status: 400, Code: 20002, Message: textValidate, GRPC: 500},
	config.BadMeta:      {Status: 400, Code: 20002, Message: textValidate, GRPC: 500, False: true},
	config.CasMismatch:  {Status: 500, Code: 20005, Message: "resource conflict", GRPC: 500, False: true},
	config.TooManyGrays: {Status: 400, Code: 20010, Message: "gray version over max count", GRPC: 500, False: true},
	config.NotFound:     {Status: 404, Code: 20004, Message: "resource not found", GRPC: 300},
}

// textInstance is the summary of what is wrong with an instance.
const textInstance = "instance error"

// refusals is the part of the table for what a caller of the registry did wrong.
var refusals = map[naming.Reason]Answer{
	naming.BadFormat:           {Status: 400, Code: 20002, Message: textValidate, GRPC: 400, Plain: true},
	naming.BadName:             {Status: 400, Code: 20002, Message: textValidate, GRPC: 400, Servlet: true},
	naming.BadInstance:         {Status: 400, Code: 21004, Message: textInstance, GRPC: 400},
	naming.BadType:             {Status: 400, Code: 20002, Message: textValidate, GRPC: 400},
	naming.BadWeight:           {Status: 400, Code: 21001, Message: "weight error", GRPC: 400},
	naming.BadMetadata:         {Status: 400, Code: 21002, Message: "instance metadata error", GRPC: 400},
	naming.BadBeat:             {Status: 500, Code: 30000, Message: textServer, GRPC: 500, Servlet: true},
	naming.BadSelector:         {Status: 400, Code: 21006, Message: "selector error", GRPC: 400},
	naming.BadHealth:           {Status: 400, Code: 30000, Message: textServer, GRPC: 400},
	naming.KindConflict:        {Status: 400, Code: 30000, Message: textServer, GRPC: 400},
	naming.NoService:           {Status: 400, Code: 21008, Message: "service not exist", GRPC: 400},
	naming.NoServiceOfInstance: {Status: 400, Code: 21004, Message: textInstance, GRPC: 400},
	naming.NoInstance:          {Status: 404, Code: 20004, Message: "resource not found", GRPC: 404},
	naming.NoCluster:           {Status: 404, Code: 30000, Message: textServer, GRPC: 404},
	naming.ServiceExists:       {Status: 400, Code: 21007, Message: "service already exist", GRPC: 400},
	naming.ServiceNotEmpty:     {Status: 400, Code: 21009, Message: "service delete failure", GRPC: 400},
	naming.Foreign:             {Status: 400, Code: 21004, Message: textInstance, GRPC: 400},
	naming.Disconnected:        {Status: 400, Code: 30000, Message: textServer, GRPC: -401, Alien: true},
}

// causes is the part of the table for errors of core. The first that matches
// counts: an outcome that is unknown for want of a leader is unknown, while no
// leader alone says that nothing happened.
var causes = []struct {
	err    error
	answer Answer
}{
	{ErrStarting, Answer{Status: 503, Code: 30000, Message: textServer, GRPC: 300}},
	{ErrBusy, Answer{Status: 503, Code: 30000, Message: textServer, GRPC: 503}},
	{kv.ErrUncertain, Answer{Status: 500, Code: 10002, Message: textData, GRPC: 500, Detail: "outcome unknown"}},
	{kv.ErrForeign, Answer{Status: 403, Code: 10001, Message: textAccess, GRPC: 403, Detail: "kept by another protocol"}},
	{kv.ErrTooLarge, Answer{Status: 400, Code: 20002, Message: textValidate, GRPC: 400, Detail: "too large"}},
	{kv.ErrOverloaded, Answer{Status: 503, Code: 10002, Message: textData, GRPC: 503, Detail: "server is overloaded"}},
	{kv.ErrNoLeader, Answer{Status: 503, Code: 10002, Message: textData, GRPC: 503, Detail: "no leader"}},
	{kv.ErrReadOnly, Answer{Status: 503, Code: 10002, Message: textData, GRPC: 503, Detail: "store is read-only"}},
	{kv.ErrConflict, Answer{Status: 409, Code: 20005, Message: "resource conflict", GRPC: 409, Detail: "changed by others at the same time"}},
	{kv.ErrNotFound, Answer{Status: 404, Code: 20004, Message: "resource not found", GRPC: 404, Detail: "not found"}},
}

// Of looks an error up in the table. What the table does not know is a failure
// of the server, whose text stays inside.
func Of(err error) Answer {
	if refused, ok := errors.AsType[*config.Error](err); ok {
		a := reasons[refused.Reason]
		a.Detail = refused.Detail
		return a
	}
	if refused, ok := errors.AsType[*naming.Error](err); ok {
		a := refusals[refused.Reason]
		a.Detail = refused.Detail
		return a
	}
	if a, ok := ofAuth(err); ok {
		return a
	}
	if quota, ok := errors.AsType[*configstore.QuotaError](err); ok {
		return ofQuota(quota)
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			if c.answer.Detail == "" {
				c.answer.Detail = c.err.Error()
			}
			return c.answer
		}
	}
	return Answer{Status: 500, Code: 30000, Message: textServer, GRPC: 500, Detail: textServer}
}

func ofAuth(err error) (Answer, bool) {
	var (
		denied   *authmap.Denied
		locked   *auth.LockedError
		password *auth.PasswordError
	)
	refuse := Answer{Status: 403, Code: 10001, Message: textAccess, GRPC: 403}
	switch {
	case errors.As(err, &denied):
		refuse.Detail = denied.Error()
	case errors.As(err, &locked):
		refuse = Answer{Status: 429, Code: 429, Message: "too many attempts", GRPC: 403, Detail: "too many attempts, " + locked.Error()}
	case errors.As(err, &password):
		refuse = Answer{Status: 400, Code: 20002, Message: textValidate, GRPC: 400, Detail: password.Error()}
	case errors.Is(err, auth.ErrSetupToken):
		refuse.Detail = auth.ErrSetupToken.Error()
	case errors.Is(err, auth.ErrCredentials):
		refuse.Detail = authmap.TextUnknown
	default:
		return Answer{}, false
	}
	return refuse, true
}

// ofQuota renders a limit that a write would exceed. The reference puts the code
// into the HTTP status, which no client can read (NAD-QRK-06).
func ofQuota(q *configstore.QuotaError) Answer {
	code, message := 5033, "tenant quota reached"
	switch {
	case q.What == "size":
		code, message = 5034, "content over max size"
	case q.Scope == configstore.Scope{}:
		code, message = 5031, "cluster quota reached"
	case q.Scope.Group != "":
		code, message = 5032, "group quota reached"
	}
	return Answer{Status: 403, Code: code, Message: message, Detail: q.Error(), GRPC: code, False: true}
}
