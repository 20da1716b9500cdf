package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/errs"
)

// Style is how the routes of one generation tell errors.
type Style uint8

const (
	// Bare routes answer plain values; errors are text (NAC-HTP-07).
	Bare Style = iota + 1
	// Naming is Bare as V1 naming does it: the text of an error stands alone.
	Naming
	// EnvelopedV2 is Enveloped, but for what V2 alone does: the parameter check
	// is told as bare text, and a number that is none as a failure (NAC-HTP-08,
	// NAD-GEN-28).
	EnvelopedV2
	// Enveloped routes answer a Result, errors too (NAC-HTP-08, NAD-GEN-28).
	Enveloped
	// Account is Enveloped with the text for people as the message too
	// (NAD-DEC-03).
	Account
	// AccountV1 is Bare as the accounts of V1 are told: JSON of no charset.
	AccountV1
)

// The media types in use.
const (
	contentJSON     = "application/json"
	contentJSONUTF8 = "application/json;charset=UTF-8"
	contentText     = "text/plain;charset=UTF-8"
)

// Result is the envelope of V2 and V3 (NAC-HTP-20).
type Result struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

// RestResult is the envelope of V1 (NAC-HTP-21).
type RestResult struct {
	Code    int     `json:"code"`
	Message *string `json:"message"`
	Data    any     `json:"data"`
	NoRight bool    `json:"noRight"`
}

// Text answers a bare value.
func (c *Call) Text(status int, text string) error {
	write(c.W, status, contentJSONUTF8, []byte(text))
	return nil
}

// Value answers a bare JSON value.
func (c *Call) Value(v any) error { return c.json(http.StatusOK, contentJSONUTF8, v) }

// Rest answers a RestResult with HTTP status 200, which is how V1 tells codes.
func (c *Call) Rest(code int, message string, data any) error {
	return c.json(http.StatusOK, contentJSONUTF8, RestResult{Code: code, Message: &message, Data: data})
}

// Data answers a Result that holds v.
func (c *Call) Data(v any) error { return c.Result(http.StatusOK, Result{Message: "success", Data: v}) }

// Result answers any Result.
func (c *Call) Result(status int, v Result) error { return c.json(status, contentJSON, v) }

// TextOf is the answer of Text, with further headers, for who is parked.
func TextOf(status int, header http.Header, text string) *plugin.Response {
	header["Content-Type"] = typeValue(contentJSONUTF8)
	return &plugin.Response{Status: status, Header: header, Body: []byte(text)}
}

// Send answers what was prepared.
func (c *Call) Send(r *plugin.Response) error {
	maps.Copy(c.W.Header(), r.Header)
	write(c.W, r.Status, r.Header.Get("Content-Type"), r.Body)
	return nil
}

// Plain answers a bare text of naming.
func (c *Call) Plain(text string) error { return c.Bytes(contentText, []byte(text)) }

// Encoded answers a JSON value that is encoded already.
func (c *Call) Encoded(b []byte) error { return c.Bytes(contentJSON, b) }

// Bytes answers encoded bytes, which are not changed.
func (c *Call) Bytes(contentType string, b []byte) error {
	write(c.W, http.StatusOK, contentType, b)
	return nil
}

// JSON answers a bare object of V3.
func (c *Call) JSON(v any) error { return c.json(http.StatusOK, contentJSON, v) }

func (c *Call) json(status int, contentType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err //nolint:wrapcheck // told as a failure of the server
	}
	write(c.W, status, contentType, b)
	return nil
}

// NoCache tells caches to keep nothing, in the words of a config answer
// (NAC-H1C-38).
func NoCache(h http.Header) {
	h["Pragma"] = pragma
	h["Cache-Control"] = cacheControl
	h["Expires"] = expires
}

// Shared header values: net/http reads them and never writes.
var ( //nolint:gochecknoglobals // constants that Go cannot say
	pragma       = []string{"no-cache"}
	cacheControl = []string{"no-cache,no-store"}
	expires      = []string{"Thu, 01 Jan 1970 00:00:00 GMT"}
	typeText     = []string{contentText}
	typeJSON     = []string{contentJSON}
	typeJSONUTF8 = []string{contentJSONUTF8}
)

// known is the size up to which net/http finds the length of a body by itself. A
// header of up to eight fields is cheaper than one of nine.
const known = 2 << 10

func write(w http.ResponseWriter, status int, contentType string, b []byte) {
	h := w.Header()
	h["Content-Type"] = typeValue(contentType)
	if len(b) > known {
		h["Content-Length"] = []string{strconv.Itoa(len(b))}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that is gone needs no answer
}

func typeValue(contentType string) []string {
	switch contentType {
	case contentText:
		return typeText
	case contentJSONUTF8:
		return typeJSONUTF8
	case contentJSON:
		return typeJSON
	}
	return []string{contentType}
}

// fail tells an error in the style of the route.
func (r *Router) fail(route *Route, c *Call, err error) {
	if c.Context().Err() != nil {
		return // nobody waits for the answer
	}
	a := told(err)
	if a.Status >= http.StatusInternalServerError {
		r.logger.Warn("request failed", zap.String("route", route.Method+" "+route.Path), zap.Error(err))
	}
	switch route.Style {
	case Bare:
		failBare(c, a, err, contentJSONUTF8)
	case AccountV1:
		failBare(c, a, err, contentJSON)
	case Naming:
		failNaming(c, a, err)
	default:
		failEnveloped(route, c, a, err)
	}
}

// told adds the errors of this package to the table.
func told(err error) errs.Answer {
	var (
		missing *MissingError
		convert *ConvertError
	)
	switch {
	case errors.As(err, &convert):
		return errs.Answer{Status: http.StatusBadRequest, Code: 20002, Message: "parameter validate error", Detail: convert.Error()}
	case errors.As(err, &missing):
		return errs.Answer{
			Status: http.StatusBadRequest, Code: 10000, Message: "parameter missing",
			Detail: "Required parameter '" + missing.Name + "' type " + cmp.Or(missing.Type, "String") + " is not present",
		}
	case errors.Is(err, ErrTooLarge):
		return errs.Answer{Status: http.StatusRequestEntityTooLarge, Code: 20002, Message: "parameter validate error", Detail: err.Error()}
	}
	return errs.Of(err)
}

func failBare(c *Call, a errs.Answer, err error, kind string) {
	var (
		missing *MissingError
		denied  *authmap.Denied
	)
	switch {
	case errors.As(err, &missing), errors.As(err, &denied):
		text := a.Detail
		if missing != nil {
			text = missing.Error()
		}
		servletError(c.W, c.R, a.Status, text, kind)
	case a.Plain:
		write(c.W, a.Status, kind, []byte(a.Detail+"\r\n"))
	case a.False && c.R.Method == http.MethodPost:
		write(c.W, a.Status, kind, []byte("false"))
	case a.Status == http.StatusNotFound:
		write(c.W, a.Status, kind, []byte(a.Detail+"\n"))
	case a.Status == http.StatusForbidden, a.Status == http.StatusServiceUnavailable, a.Status == http.StatusTooManyRequests:
		write(c.W, a.Status, kind, []byte(a.Detail))
	default:
		write(c.W, a.Status, kind, []byte("caused: "+a.Detail+";"))
	}
}

// plain is what the parameter check of naming answers: a text of no type
// (NAD-GEN-28).
func plain(c *Call, a errs.Answer) {
	h := c.W.Header()
	NoCache(h)
	h["Content-Type"] = nil // which keeps net/http from guessing one
	c.W.WriteHeader(a.Status)
	_, _ = c.W.Write([]byte(a.Detail + "\r\n"))
}

// failNaming tells an error as V1 naming does (NAC-HTP-07).
func failNaming(c *Call, a errs.Answer, err error) {
	var (
		denied  *authmap.Denied
		missing *MissingError
	)
	switch {
	case errors.As(err, &denied), a.Servlet:
		servletError(c.W, c.R, a.Status, a.Detail, contentJSON)
	case errors.As(err, &missing):
		write(c.W, a.Status, contentText, []byte(missing.naming()))
	case a.Plain:
		plain(c, a)
	default:
		write(c.W, a.Status, contentText, []byte(a.Detail))
	}
}

// failEnveloped also copies the texts that user interfaces look for into the
// message, where they call (NAD-DEC-03).
func failEnveloped(route *Route, c *Call, a errs.Answer, err error) {
	out := Result{Code: a.Code, Message: a.Message, Data: a.Detail}
	if route.Style == EnvelopedV2 {
		var convert *ConvertError
		switch {
		case a.Plain:
			plain(c, a)
			return
		case errors.As(err, &convert):
			a.Status = http.StatusInternalServerError
			out = Result{Code: 30000, Message: a.Detail}
		}
	}
	denied, refused := errors.AsType[*authmap.Denied](err)
	people := route.Access.Plane() != auth.Client
	if route.Style == Account || refused && denied.Expired() && people {
		out.Message = a.Detail
	}
	if locked, ok := errors.AsType[*auth.LockedError](err); ok {
		seconds := max(1, int(time.Until(locked.Until).Seconds()))
		c.W.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if err := c.Result(a.Status, out); err != nil {
		write(c.W, http.StatusInternalServerError, contentText, nil)
	}
}

// servletError answers in the shape of a servlet container, which is how the
// reference tells what never reached a handler (NAC-HTP-07).
func servletError(w http.ResponseWriter, r *http.Request, status int, message, contentType string) {
	b, err := json.Marshal(struct {
		Timestamp string `json:"timestamp"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Message   string `json:"message"`
		Path      string `json:"path"`
	}{time.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"), status, http.StatusText(status), message, r.URL.Path})
	if err != nil {
		b = nil // cannot be: texts and a number
	}
	write(w, status, contentType, b)
}
