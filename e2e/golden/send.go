package golden

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// reply is a raw answer.
type reply struct {
	status  int
	headers http.Header
	body    []byte
	took    time.Duration
}

// send writes one request byte for byte as described, on a connection of its
// own, and follows no redirect.
func send(base string, r *request, timeout time.Duration) (reply, error) {
	u, err := url.Parse(base)
	if err != nil {
		return reply{}, err
	}
	begin := time.Now()
	conn, err := net.DialTimeout("tcp", u.Host, timeout)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(begin.Add(timeout)); err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(encode(u, r)); err != nil {
		return reply{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	return reply{status: resp.StatusCode, headers: resp.Header, body: body, took: time.Since(begin)}, nil
}

// encode renders the request.
func encode(u *url.URL, r *request) []byte {
	body, kind := r.body()
	var b bytes.Buffer
	path := strings.TrimRight(u.Path, "/") + r.Path
	if len(r.Query) > 0 {
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		path += join + r.Query.encode()
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, path)
	given := map[string]bool{}
	for k, v := range r.Headers {
		given[strings.ToLower(k)] = true
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	extra := func(name, value string) {
		if !given[strings.ToLower(name)] && value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	extra("Host", u.Host)
	extra("Content-Type", kind)
	switch {
	case body != nil:
		extra("Content-Length", strconv.Itoa(len(body)))
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		extra("Content-Length", "0")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// body returns the bytes and the media type of the request.
func (r *request) body() (body []byte, kind string) {
	switch {
	case r.Form != nil:
		return []byte(r.Form.encode()), "application/x-www-form-urlencoded"
	case r.JSON != nil:
		b, err := json.Marshal(r.JSON)
		if err != nil {
			panic(err) // it was decoded from JSON
		}
		return b, "application/json"
	case r.Text != nil:
		return []byte(*r.Text), ""
	case r.Base64 != nil:
		return r.Base64, ""
	case r.Multipart != nil:
		return multipart(r.Multipart)
	}
	return nil, ""
}

func (f fields) encode() string {
	var b strings.Builder
	for i, x := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(x.name) + "=" + url.QueryEscape(x.value))
	}
	return b.String()
}

func multipart(parts []part) (body []byte, kind string) {
	const boundary = "golden-boundary"
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q", boundary, p.Name)
		if p.Filename != nil {
			fmt.Fprintf(&b, "; filename=%q", *p.Filename)
		}
		if p.Type != "" {
			fmt.Fprintf(&b, "\r\nContent-Type: %s", p.Type)
		}
		b.WriteString("\r\n\r\n")
		if p.Base64 != nil {
			b.Write(p.Base64)
		} else {
			b.WriteString(p.Text)
		}
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), "multipart/form-data; boundary=" + boundary
}

// answer gives a reply the form that a file holds.
func (r reply) answer(asText bool) *answer {
	a := &answer{Status: r.status, Headers: map[string]*string{}}
	for k, values := range r.headers {
		a.Headers[strings.ToLower(k)] = &values[len(values)-1] // the recordings keep the last one
	}
	switch {
	case len(r.body) == 0:
	case !utf8.Valid(r.body):
		a.Base64 = r.body
	case !asText && r.looksLikeJSON() && decode(r.body, &a.JSON) == nil:
		a.hasJSON = true
	default:
		text := string(r.body)
		a.Text = &text
	}
	return a
}

func (r reply) looksLikeJSON() bool {
	return strings.Contains(r.headers.Get("Content-Type"), "json") && json.Valid(r.body) || (r.body[0] == '[' || r.body[0] == '{') && json.Valid(r.body)
}
