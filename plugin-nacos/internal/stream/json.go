package stream

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// Body is the JSON object of a request. Reading is lenient: a number is taken
// where a text is expected and the other way round, null is absent, unknown keys
// are ignored (NAC-SET-06, NAC-TRN-07).
type Body struct{ gjson.Result }

// maxKeys bounds the keys of a body; no request has as many as twenty.
const maxKeys = 256

// ParseBody reads an object; false for anything else. The check bounds nesting
// before the fast reader looks at it. A key that comes twice is refused: what asks
// for a right may find the first, and what acts the last.
func ParseBody(b []byte) (Body, bool) {
	if !json.Valid(b) {
		return Body{}, false
	}
	r := gjson.ParseBytes(b)
	return Body{r}, r.IsObject() && distinct(r)
}

// distinct says whether no key of an object comes twice.
func distinct(r gjson.Result) bool {
	var room [24]string
	seen, ok := room[:0], true
	r.ForEach(func(k, _ gjson.Result) bool {
		if ok = len(seen) < maxKeys && !slices.Contains(seen, k.Str); ok {
			seen = append(seen, k.Str)
		}
		return ok
	})
	return ok
}

// Fields calls f for each key, in order, until the end. It is the fast way to
// read several keys.
func (b Body) Fields(f func(key string, v gjson.Result)) {
	b.ForEach(func(k, v gjson.Result) bool {
		f(k.Str, v)
		return true
	})
}

// Optional returns the text of v, nil for null and absent.
func Optional(v gjson.Result) *string {
	if v.Type == gjson.Null {
		return nil
	}
	s := v.String()
	return &s
}

// Status is the part that every answer has. A failure sets all three, since
// clients test different ones (NAC-ERR-23).
type Status struct {
	ResultCode int    `json:"resultCode"`
	ErrorCode  int    `json:"errorCode"`
	Message    string `json:"message,omitempty"`
	Success    bool   `json:"success"`
}

// OK is the status of a success.
var OK = Status{ResultCode: 200, Success: true} //nolint:gochecknoglobals // a constant

// Fail is the status of a failure; code must not be 0.
func Fail(code int, message string) Status {
	return Status{ResultCode: 500, ErrorCode: code, Message: message}
}

// Answer is what a handler answers: a class, and JSON in up to three parts, which
// are not changed afterwards, so that they may be shared.
type Answer struct {
	Type              string
	Body, Shared, End []byte
}

// JSON is the whole body.
func (a *Answer) JSON() []byte { return slices.Concat(a.Body, a.Shared, a.End) }

// Encode renders an answer. What cannot be encoded is a programmer's error and
// is told as a failure.
func Encode(kind string, v any) Answer {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(`{"resultCode":500,"errorCode":500,"message":"encode ` + kind + `","success":false}`)
	}
	return Answer{Type: kind, Body: b}
}

// The answers that belong to no request class.
const typeError = "ErrorResponse"

func refuse(code int, message string) Answer { return Encode(typeError, Fail(code, message)) }

// The codes of ErrorResponse (NAC-ERR).
const (
	codeStarting     = 300
	codeUnregistered = 301 // the one that makes clients connect again (NAC-ERR-20)
	codeUnknown      = 302
	codeServer       = 500
	codeBad          = 502
)

func errorStarting() Answer { return refuse(codeStarting, "Server is starting,please try later.") }

func formatID(n uint64) string { return strconv.FormatUint(n, 10) }

// Text returns the text of one plain key, blank when absent or null.
func (b Body) Text(key string) string { return b.Get(key).String() }
