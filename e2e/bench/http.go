package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// httpCaller speaks HTTP/1.1 over one connection with as little of its own as
// possible, since it shares the cores with the server.
type httpCaller struct {
	conn    *net.TCPConn
	in      *bufio.Reader
	nowhere []byte // is never written to
	request func(n int) []byte
}

func dialHTTP(addr string, request func(n int) []byte) (*httpCaller, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpCaller{conn: c.(*net.TCPConn), in: bufio.NewReaderSize(c, 4<<10), nowhere: make([]byte, 1<<20), request: request}, nil
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
	return c.discard(length)
}

// discard drops a body, which the kernel does without a copy for what was not
// read yet.
func (c *httpCaller) discard(n int) error {
	had, err := c.in.Discard(min(n, c.in.Buffered()))
	if err != nil {
		return err
	}
	n -= had
	if n == 0 {
		return nil
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for n > 0 {
			got, _, err := unix.Recvfrom(int(fd), c.nowhere[:min(n, len(c.nowhere))], unix.MSG_TRUNC)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil || got == 0:
				failed = cmp.Or(err, io.ErrUnexpectedEOF)
				return true
			}
			n -= got
		}
		return true
	})
	return cmp.Or(err, failed)
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
