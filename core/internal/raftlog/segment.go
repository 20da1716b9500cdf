package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/internal/durable"
)

const (
	segmentSuffix = ".log"
	spareSuffix   = ".spare"
)

// firstSegment is the size of the first file of a new log, so that an empty
// server starts at once.
const firstSegment = 1 << 20

// segment is one file of the log.
type segment struct {
	seq     uint64
	path    string
	file    *os.File
	size    int64
	end     int64 // behind the last frame
	durable int64 // on disk up to here
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segmentSuffix) }

// parseSegment returns the number in a file name.
func parseSegment(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return seq, err == nil
}

func (s *segment) sync() error {
	if s.durable == s.end {
		return nil
	}
	if err := fdatasync(s.file); err != nil {
		return err
	}
	s.durable = s.end
	return nil
}

// roll syncs the last segment and starts the next one, with room for a frame of
// the given size behind its head.
func (l *Log) roll(size int64) (*segment, error) {
	seq, before := uint64(1), int64(0)
	if n := len(l.segments); n > 0 {
		old := l.segments[n-1]
		if err := l.sync(old); err != nil {
			return nil, err
		}
		seq, before = old.seq+1, old.end
	}
	head := appendHead(make([]byte, frameHeader, 128), l.state, l.mark, before)
	need := frameSize(len(head)-frameHeader) + size
	// gofail: var raftlogBeforeRoll struct{}
	size = l.options.SegmentSize
	if len(l.segments) == 0 {
		size = min(size, firstSegment)
	}
	file, length, err := l.spares.take(max(need, size))
	if err != nil {
		return nil, &SpaceError{cause: err}
	}
	s := &segment{seq: seq, path: filepath.Join(l.dir, segmentName(seq)), file: file, size: length}
	if err := os.Rename(file.Name(), s.path); err != nil {
		return nil, errors.Join(fmt.Errorf("start segment: %w", err), file.Close())
	}
	if err := durable.SyncDir(l.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("start segment: %w", err), file.Close())
	}
	head = sealFrame(head, seq, 0, 0)
	if _, err := file.WriteAt(head, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("start segment: %w", err), file.Close())
	}
	s.end = int64(len(head))
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	// The head is made durable with the first frame behind it.
	// gofail: var raftlogAfterRoll struct{}
	return s, nil
}

// cut gives back the segments that hold no entry behind the mark.
func (l *Log) cut() error {
	n := 0
	for n < len(l.segments)-1 && !l.needed(n) {
		n++
	}
	if n == 0 {
		return nil
	}
	// gofail: var raftlogBeforeCut struct{}
	l.mu.Lock()
	gone := l.segments[:n]
	l.segments = append([]*segment(nil), l.segments[n:]...)
	l.mu.Unlock()
	for _, s := range gone {
		if err := l.spares.recycle(s); err != nil {
			return fmt.Errorf("cut log: %w", err)
		}
	}
	// gofail: var raftlogAfterCut struct{}
	if err := durable.SyncDir(l.dir); err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	l.options.Logger.Debug("log cut", zap.Int("segments", n), zap.Uint64("index", l.mark.index))
	return nil
}

// needed says whether segment n holds an entry that is still part of the log.
// Entries are in order, so the first one of the log tells.
func (l *Log) needed(n int) bool {
	if len(l.index.refs) == 0 {
		return false
	}
	return l.index.refs[0].seq <= l.segments[n].seq
}
