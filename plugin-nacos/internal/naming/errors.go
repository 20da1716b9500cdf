package naming

// Reason says why a naming call was refused. Transports render it from one
// table, errs.Of.
type Reason uint8

const (
	// BadFormat is what the parameter check refuses before anything else
	// (NAD-GEN-40..48).
	BadFormat Reason = iota + 1
	// BadName is a grouped name that lacks one of its parts.
	BadName
	// BadInstance is an instance whose parts do not fit together: its cluster,
	// its beat times, no instance at all.
	BadInstance
	// BadType is a request type that does not exist.
	BadType
	// BadWeight is a weight out of range, which HTTP alone refuses (NAC-NAM-03).
	BadWeight
	// BadMetadata is metadata that cannot be read (NAC-QRK-37).
	BadMetadata
	// BadBeat is a beat that cannot be read.
	BadBeat
	// BadSelector is a selector of an unknown type.
	BadSelector
	// BadHealth is a health that cannot be set, since something checks it.
	BadHealth
	// KindConflict is an instance of the kind that a service does not hold
	// (NAC-NAM-23).
	KindConflict
	// NoService is a service that must exist and does not.
	NoService
	// NoServiceOfInstance is the same, where an instance was to be changed.
	NoServiceOfInstance
	// NoInstance is an instance that must exist and does not.
	NoInstance
	// NoCluster is a cluster that must exist and does not.
	NoCluster
	// ServiceExists is a service that was to be created.
	ServiceExists
	// ServiceNotEmpty is a service that was to be removed.
	ServiceNotEmpty
	// Foreign is an instance that another protocol registered (BRG-OWN-03).
	Foreign
	// Disconnected is a registration on a connection that has ended, or that is
	// none of a naming client (NAC-CON-11).
	Disconnected
)

// Error is a refusal that the caller can do something about. All other errors of
// this package are those of core.
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

// ErrNoInstance reports an instance that must exist and does not.
var ErrNoInstance = &Error{NoInstance, "no matched ip found!"}

func noService(detail string) error { return &Error{NoService, detail} }
