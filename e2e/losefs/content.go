package losefs

import (
	"fmt"
	"os"
)

// pageSize is the unit of the overlay and of space.
const pageSize = 4096

// changeKind tells what a change does to a file.
type changeKind int

const (
	changeWrite  changeKind = iota + 1 // data at off
	changeZero                         // length zero bytes at off, size unchanged
	changeResize                       // size becomes length
)

// change is one unsynced modification of a file's bytes or size.
type change struct {
	kind   changeKind
	off    int64
	length int64
	data   []byte
	shrink bool // a resize below the size it found
}

// content is the bytes of one file: the durable ones in base, laid over by
// the pages that unsynced changes touched. The log holds the same changes in
// order, because a crash may keep any part of them.
type content struct {
	base  *os.File
	size  int64 // live size
	valid int64 // bytes of base from here on read as zero
	pages map[int64]*[pageSize]byte
	log   []change
	lost  bool // a sync failed: pages are all that is left of some changes
}

func newContent(base *os.File, size int64) *content {
	return &content{base: base, size: size, valid: size, pages: make(map[int64]*[pageSize]byte)}
}

// read fills dest from off and returns how many bytes the file has there.
func (c *content) read(dest []byte, off int64) (int, error) {
	if off >= c.size {
		return 0, nil
	}
	dest = dest[:min(int64(len(dest)), c.size-off)]
	if err := c.readBase(dest, off); err != nil {
		return 0, err
	}
	if len(c.pages) == 0 {
		return len(dest), nil
	}
	eachPage(off, int64(len(dest)), func(page, in, at, n int64) {
		if p := c.pages[page]; p != nil {
			copy(dest[at:at+n], p[in:])
		}
	})
	return len(dest), nil
}

// readBase fills dest with durable bytes, zeros where there are none.
func (c *content) readBase(dest []byte, off int64) error {
	have := min(max(c.valid-off, 0), int64(len(dest)))
	clear(dest[have:])
	if have == 0 {
		return nil
	}
	if n, err := c.base.ReadAt(dest[:have], off); int64(n) < have {
		return fmt.Errorf("read backing file: %w", err)
	}
	return nil
}

// write puts data at off.
func (c *content) write(data []byte, off int64) error {
	kept := append([]byte(nil), data...)
	if err := c.overlay(kept, off, int64(len(kept))); err != nil {
		return err
	}
	c.log = append(c.log, change{kind: changeWrite, off: off, length: int64(len(kept)), data: kept})
	c.size = max(c.size, off+int64(len(kept)))
	return nil
}

// zero clears the bytes of a range that lie within the file.
func (c *content) zero(off, length int64) error {
	length = min(length, c.size-off)
	if length <= 0 {
		return nil
	}
	if err := c.overlay(nil, off, length); err != nil {
		return err
	}
	c.log = append(c.log, change{kind: changeZero, off: off, length: length})
	return nil
}

// overlay copies data, or zeros if data is nil, into pages.
func (c *content) overlay(data []byte, off, length int64) error {
	var failed error
	eachPage(off, length, func(page, in, at, n int64) {
		p := c.pages[page]
		if p == nil {
			p = new([pageSize]byte)
			if n < pageSize {
				if err := c.readBase(p[:], page*pageSize); err != nil {
					failed = err
					return
				}
			}
			c.pages[page] = p
		}
		if data == nil {
			clear(p[in : in+n])
			return
		}
		copy(p[in:in+n], data[at:])
	})
	return failed
}

// resize sets the size; what lies beyond a smaller size is gone, what a
// larger one adds is zero.
func (c *content) resize(size int64) {
	if size == c.size {
		return
	}
	c.log = append(c.log, change{kind: changeResize, length: size, shrink: size < c.size})
	if size < c.size {
		c.valid = min(c.valid, size)
		for page, p := range c.pages {
			switch start := page * pageSize; {
			case start >= size:
				delete(c.pages, page)
			case start+pageSize > size:
				clear(p[size-start:])
			}
		}
	}
	c.size = size
}

// sync makes every change durable.
func (c *content) sync() error {
	if err := c.apply(c.log); err != nil {
		return err
	}
	c.log = nil
	if !c.lost {
		clear(c.pages)
		c.valid = c.size
	}
	return nil
}

// forget drops the changes as a failed sync does: they stay readable and will
// never become durable.
func (c *content) forget() {
	c.lost = true
	c.log = nil
}

// apply performs changes on the backing file.
func (c *content) apply(changes []change) error {
	for _, ch := range changes {
		var err error
		switch ch.kind {
		case changeWrite:
			_, err = c.base.WriteAt(ch.data, ch.off)
		case changeZero:
			_, err = c.base.WriteAt(make([]byte, ch.length), ch.off)
		case changeResize:
			err = c.base.Truncate(ch.length)
		}
		if err != nil {
			return fmt.Errorf("write backing file: %w", err)
		}
	}
	return nil
}

// eachPage cuts a range into pages: it calls visit with the number of each
// page, the place in the page, the place in the range, and the length.
func eachPage(off, length int64, visit func(page, in, at, n int64)) {
	for at := int64(0); at < length; {
		page, in := (off+at)/pageSize, (off+at)%pageSize
		n := min(pageSize-in, length-at)
		visit(page, in, at, n)
		at += n
	}
}
