package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/easynet-cn/batata/core/plugin"
	nacos "github.com/easynet-cn/batata/plugin-nacos"
)

// quiet is a plugin that parks its requests, and answers them when it drains.
func quiet(parked chan plugin.Parked, over chan bool) *fake {
	f := &fake{handler: func(w http.ResponseWriter, r *http.Request) {
		w.(plugin.RouteNamer).NameRoute("/fake/poll")
		p, ok := w.(plugin.Parker).Park(time.Now().Add(time.Hour), func(gone bool) { over <- gone })
		if !ok {
			_, _ = io.WriteString(w, "not parked")
			return
		}
		if _, again := w.(plugin.Parker).Park(time.Now(), nil); again {
			panic("parked twice")
		}
		if r.URL.Path == "/fake/panic" {
			panic("after")
		}
		parked <- p
	}}
	f.drain = func() {
		for range len(parked) {
			(<-parked).Answer(&plugin.Response{Status: 200, Header: http.Header{}, Body: []byte("nothing changed")})
		}
	}
	return f
}

// exchange sends text over one connection and reads an answer.
func exchange(t *testing.T, c net.Conn, r *bufio.Reader, text string) (*http.Response, string, error) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func dialMain(t *testing.T, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.main())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

const askFake = "GET /fake/poll HTTP/1.1\r\nHost: h\r\n\r\n"

// Parked requests are counted as they are parked, keep no handler, end with their
// client, and are answered by Drain before connections are closed. A handler that
// panics after it parked costs its connection.
func TestParkedRequests(t *testing.T) {
	parked, over := make(chan plugin.Parked, 64), make(chan bool, 64)
	s := start(t, config(t), quiet(parked, over))
	var readers []*bufio.Reader
	for range 3 {
		c, r := dialMain(t, s)
		if _, err := io.WriteString(c, askFake); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	gone, _ := dialMain(t, s)
	_, _ = io.WriteString(gone, askFake)
	eventually(t, "all are parked", func() bool { return len(parked) == 4 })
	_ = gone.Close()
	if !<-over {
		t.Error("over(false) for a client that left, want gone")
	}
	c, r := dialMain(t, s)
	if _, body, err := exchange(t, c, r, strings.Replace(askFake, "/poll", "/panic", 1)); err == nil || !<-over {
		t.Errorf("answer of who panicked = %q, nil error, want the end", body)
	}
	if _, body := get(t, "http://"+s.main()+"/metrics"); !strings.Contains(body, `batata_http_requests_total{method="GET",path="/fake/poll"} 5`) {
		t.Error("a parked request was not counted")
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	for _, r := range readers {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer at the end: %v, want one", err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "nothing changed" {
			t.Errorf("answer at the end = %q, %v, want nothing changed", body, err)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("ReadByte() after the answer = nil error, want the end")
		}
	}
}

// date is all that differs between two answers.
var date = regexp.MustCompile(`(?m)^Date: .*$`)

// NAC-H1C-35..38: a poll that was parked is answered in the bytes of one that its
// handler answers.
func TestParkedPolls(t *testing.T) {
	c := config(t)
	c.AllowUnauthenticated = true
	s := start(t, c, nacos.Plugin())
	const configs = "/nacos/v1/cs/configs"
	poll := func(extra, tenant string) string {
		form := url.Values{"Listening-Configs": {"a\x02G\x02" + tenant + "\x01"}}.Encode()
		return fmt.Sprintf("POST %s/listener HTTP/1.1\r\nHost: h\r\n%sLong-Pulling-Timeout: 60000\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			configs, extra, len(form), form)
	}
	publish := func(content string) {
		resp, err := http.PostForm("http://"+s.main()+configs, url.Values{"dataId": {"a"}, "group": {"G"}, "content": {content}})
		if err != nil {
			t.Fatal(err)
		}
		defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); string(body) != "true" {
			t.Fatalf("publish = %q", body)
		}
	}
	waits := func() bool {
		_, body := get(t, "http://"+s.main()+configs+"/listener?dataId=a&group=G")
		return strings.Contains(body, "127.0.0.1")
	}
	// HTTP/1.0 is never parked.
	for _, tenant := range []string{"", "\x02public"} {
		var raw [2]string
		for i, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			conn, _ := dialMain(t, s)
			if _, err := io.WriteString(conn, strings.Replace(poll("Connection: keep-alive\r\n", tenant), "HTTP/1.1", version, 1)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the poll waits", waits)
			publish("content")
			raw[i] = date.ReplaceAllString(readAnswer(t, conn), "Date: now")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+s.main()+configs+"?dataId=a&group=G", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		raw[1] = strings.Replace(strings.Replace(raw[1], "HTTP/1.0", "HTTP/1.1", 1), "Connection: keep-alive\r\n", "", 1)
		if raw[0] != raw[1] || !strings.Contains(raw[0], "a%02G") {
			t.Errorf("answer to a parked poll = %q, want %q", raw[0], raw[1])
		}
	}
}

// readAnswer returns the bytes of one answer.
func readAnswer(t *testing.T, c net.Conn) string {
	t.Helper()
	var seen strings.Builder
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &seen)), nil)
	if err != nil {
		t.Fatalf("answer %q: %v", seen.String(), err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return seen.String()
}
