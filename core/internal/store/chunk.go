package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// A snapshot travels as chunks: uint32 length, uint32 CRC32C, payload. A length
// of zero ends the stream and is followed by the SHA-256 of all payloads.
const (
	chunkSize = 256 << 10 // most bytes of one payload
	chunkHead = 8
)

// errSnapshot reports bytes that are not a snapshot, or a damaged one.
var errSnapshot = errors.New("damaged snapshot")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// chunkWriter cuts what is written to it into chunks.
type chunkWriter struct {
	w   io.Writer
	crc *crc32.Table
	sum hash.Hash
	buf []byte // head and payload
}

func newChunkWriter(w io.Writer) *chunkWriter {
	return &chunkWriter{w: w, crc: castagnoli(), sum: sha256.New(), buf: make([]byte, chunkHead, chunkHead+chunkSize)}
}

// Write implements io.Writer.
func (c *chunkWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), cap(c.buf)-len(c.buf))
		c.buf = append(c.buf, rest[:n]...)
		rest = rest[n:]
		if len(c.buf) == cap(c.buf) {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (c *chunkWriter) flush() error {
	payload := c.buf[chunkHead:]
	if len(payload) == 0 {
		return nil
	}
	binary.BigEndian.PutUint32(c.buf, uint32(len(payload)))
	binary.BigEndian.PutUint32(c.buf[4:], crc32.Checksum(payload, c.crc))
	c.sum.Write(payload)
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:chunkHead]
	return err
}

// finish writes the end of the stream.
func (c *chunkWriter) finish() error {
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.w.Write(c.sum.Sum(make([]byte, chunkHead)))
	return err
}

// chunkReader is the way back. It returns io.EOF only behind a complete stream.
type chunkReader struct {
	r    io.Reader
	crc  *crc32.Table
	sum  hash.Hash
	buf  []byte
	rest []byte // of buf, not read yet
	end  bool
}

func newChunkReader(r io.Reader) *chunkReader {
	return &chunkReader{r: r, crc: castagnoli(), sum: sha256.New(), buf: make([]byte, chunkSize)}
}

// Read implements io.Reader.
func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.end {
			return 0, io.EOF
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (c *chunkReader) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return b[0], err
}

func (c *chunkReader) fill() error {
	var head [chunkHead]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return cut(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > chunkSize {
		return fmt.Errorf("%w: chunk of %d bytes", errSnapshot, n)
	}
	if n == 0 && binary.BigEndian.Uint32(head[4:]) == 0 {
		return c.verify()
	}
	c.rest = c.buf[:n]
	if _, err := io.ReadFull(c.r, c.rest); err != nil {
		return cut(err)
	}
	if crc32.Checksum(c.rest, c.crc) != binary.BigEndian.Uint32(head[4:]) {
		return fmt.Errorf("%w: checksum of a chunk", errSnapshot)
	}
	c.sum.Write(c.rest)
	return nil
}

func (c *chunkReader) verify() error {
	var want [sha256.Size]byte
	if _, err := io.ReadFull(c.r, want[:]); err != nil {
		return cut(err)
	}
	if !bytes.Equal(want[:], c.sum.Sum(nil)) {
		return fmt.Errorf("%w: checksum of the whole", errSnapshot)
	}
	c.end = true
	return nil
}

// cut turns the end of the input into an error of its own: no reader may take a
// stream that was cut off for a complete one.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", errSnapshot)
	}
	return err
}
