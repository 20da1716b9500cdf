package config

// Reason says why a config call was refused. Transports render it from one
// table.
type Reason uint8

const (
	// BadFormat is what the parameter check refuses before anything else
	// (NAD-GEN-40..49).
	BadFormat Reason = iota + 1
	// BadKey is a bad data id, group or content.
	BadKey
	// BadTag is a bad tag of a gray.
	BadTag
	// BadMeta is a bad description, use, effect, schema or list of tags.
	BadMeta
	// CasMismatch is a conditional publish over other content.
	CasMismatch
	// TooManyGrays is a new gray beyond the limit of one config.
	TooManyGrays
	// NotFound is a read of what is not there.
	NotFound
)

// Error is a refusal that the caller can do something about. All other errors
// of this package are those of core.
type Error struct {
	Reason Reason
	Detail string // the text that clients are shown
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Is makes errors.Is compare the reason alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// ErrNotFound reports a read of what is not there.
var ErrNotFound = &Error{Reason: NotFound, Detail: "config data not exist"}
