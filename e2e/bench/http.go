package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// httpCaller speaks HTTP/1.1 over one connection with as little of its own as
// possible, since it shares the cores with the server.
type httpCaller struct {
	conn    net.Conn
	in      *bufio.Reader
	request func(n int) []byte
}

func dialHTTP(addr string, request func(n int) []byte) (*httpCaller, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpCaller{conn: c, in: bufio.NewReaderSize(c, 32<<10), request: request}, nil
}

func (c *httpCaller) close() { _ = c.conn.Close() }

func (c *httpCaller) do(n int) error {
	if _, err := c.conn.Write(c.request(n)); err != nil {
		return err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answered %q", status)
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "content-length") {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("answer without Content-Length")
	}
	_, err = io.CopyN(io.Discard, c.in, int64(length))
	return err
}

// getRequest is the same bytes every time.
func getRequest(path string) func(int) []byte {
	b := []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n")
	return func(int) []byte { return b }
}

// publishRequest writes distinct keys, key(n) naming the n-th.
func publishRequest(key func(n int) string, content string) func(int) []byte {
	body := url.Values{"group": {group}, "content": {content}}.Encode()
	return func(n int) []byte {
		form := "dataId=" + key(n) + "&" + body
		return []byte("POST /nacos/v1/cs/configs HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
			strconv.Itoa(len(form)) + "\r\n\r\n" + form)
	}
}

// group holds everything the benchmark writes.
const group = "BENCH"
