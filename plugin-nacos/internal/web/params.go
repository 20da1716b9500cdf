package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/easynet-cn/batata/plugin-nacos/internal/lent"
)

// Bounds of one request.
const (
	// maxForm is a content of the largest size with every byte escaped, and the
	// rest of the form.
	maxForm = 3*(10<<20) + 1<<20
	// maxMemory of a multipart form is all of it: nothing is put on disk.
	maxMemory = maxForm
	maxParams = 1000
)

// ErrTooLarge reports a body over the bound.
var ErrTooLarge = errors.New("request body too large")

type param struct{ name, value string }

// params are the parameters of a request in order, the query first.
type params []param

// get returns the values of a name joined by commas, as servlet containers do
// for a text parameter (NAC-HTP-02).
func (ps params) get(name string) (string, bool) {
	var (
		out   string
		found bool
	)
	for _, p := range ps {
		switch {
		case p.name != name:
		case found:
			out += "," + p.value
		default:
			out, found = p.value, true
		}
	}
	return out, found
}

// addEncoded takes a query or a form apart. A pair that cannot be decoded, or
// that is not UTF-8, is dropped (NAC-HTP-02).
func (ps params) addEncoded(text string) (params, error) {
	for len(text) > 0 {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		if len(ps) == maxParams {
			return ps, fmt.Errorf("more than %d parameters: %w", maxParams, ErrTooLarge)
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			continue
		}
		ps = append(ps, param{name, value})
	}
	return ps, nil
}

// parse reads all parameters of a request: the query, then a form or multipart
// body, for every method (NAC-HTP-02). Other bodies are left alone.
// room is where the first ones are kept.
func parse(w http.ResponseWriter, r *http.Request, room params) (params, error) {
	ps, err := room.addEncoded(r.URL.RawQuery)
	if err != nil || r.Body == nil || r.Body == http.NoBody {
		return ps, err
	}
	if r.Header.Get("Content-Type") == formType && 0 < r.ContentLength && r.ContentLength <= knownForm {
		return ps.addKnownForm(r.Body, r.ContentLength)
	}
	kind, args, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ps, nil //nolint:nilerr // a body of no known kind holds no parameters
	}
	body := http.MaxBytesReader(w, r.Body, maxForm)
	switch kind {
	case formType:
		return ps.addForm(body)
	case "multipart/form-data":
		return ps.addMultipart(body, args["boundary"])
	}
	return ps, nil
}

const formType = "application/x-www-form-urlencoded"

// knownForm is the size up to which a body of declared length gets its buffer at
// once; larger ones grow with what arrives.
const knownForm = 64 << 10

func (ps params) addKnownForm(body io.Reader, length int64) (params, error) {
	text := make([]byte, length)
	if _, err := io.ReadFull(body, text); err != nil {
		return ps, bodyError(err)
	}
	return ps.addEncoded(lent.Text(text))
}

func (ps params) addForm(body io.Reader) (params, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return ps, bodyError(err)
	}
	return ps.addEncoded(lent.Text(text))
}

func (ps params) addMultipart(body io.Reader, boundary string) (params, error) {
	form, err := multipart.NewReader(body, boundary).ReadForm(maxMemory)
	if err != nil {
		if large := bodyError(err); errors.Is(large, ErrTooLarge) {
			return ps, large
		}
		return ps, nil // what cannot be read holds no parameters
	}
	defer func() { _ = form.RemoveAll() }()
	for name, values := range form.Value {
		for _, v := range values {
			if len(ps) == maxParams {
				return ps, fmt.Errorf("more than %d parameters: %w", maxParams, ErrTooLarge)
			}
			if utf8.ValidString(v) {
				ps = append(ps, param{name, v})
			}
		}
	}
	return ps, nil
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) || errors.Is(err, multipart.ErrMessageTooLarge) {
		return ErrTooLarge
	}
	return fmt.Errorf("read body: %w", err)
}
