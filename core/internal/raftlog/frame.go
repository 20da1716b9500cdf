package raftlog

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	frameMagic  = 0x474f4c42 // "BLOG"
	frameHeader = 16
	alignment   = 8
	// maxPayload bounds a frame, whatever its length field says. Raft appends at
	// most a few entries of kv.MaxCommand at once.
	maxPayload = 1 << 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant table

// checksum covers everything that makes a frame belong where it stands.
func checksum(seq uint64, off int64, durable uint32, payload []byte) uint32 {
	var place [24]byte
	binary.LittleEndian.PutUint64(place[0:], seq)
	binary.LittleEndian.PutUint64(place[8:], uint64(off))
	binary.LittleEndian.PutUint32(place[16:], durable)
	binary.LittleEndian.PutUint32(place[20:], uint32(len(payload)))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, payload)
}

// frameSize is what a payload takes on disk.
func frameSize(payload int) int64 {
	return int64(frameHeader+payload+alignment-1) &^ (alignment - 1)
}

// sealFrame completes a frame whose payload is already in place: b starts with
// room for the header and ends with the payload. It returns b padded.
func sealFrame(b []byte, seq uint64, off int64, durable uint32) []byte {
	payload := b[frameHeader:]
	sum := checksum(seq, off, durable, payload)
	binary.LittleEndian.PutUint32(b[0:], frameMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[8:], durable)
	binary.LittleEndian.PutUint32(b[12:], sum)
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}

// frame is one whole frame as read.
type frame struct {
	payload []byte // shares memory with what was read
	durable uint32
	next    int64 // offset behind it
}

// readFrame checks the frame at off of a segment's bytes. ok is false for
// anything that is not whole.
func readFrame(b []byte, seq uint64, off int64) (f frame, ok bool) {
	if off+frameHeader > int64(len(b)) || binary.LittleEndian.Uint32(b[off:]) != frameMagic {
		return frame{}, false
	}
	length := binary.LittleEndian.Uint32(b[off+4:])
	end := off + frameHeader + int64(length)
	if length > maxPayload || end > int64(len(b)) {
		return frame{}, false
	}
	f.durable = binary.LittleEndian.Uint32(b[off+8:])
	f.payload = b[off+frameHeader : end]
	if checksum(seq, off, f.durable, f.payload) != binary.LittleEndian.Uint32(b[off+12:]) {
		return frame{}, false
	}
	f.next = off + frameSize(int(length))
	return f, true
}

// stray is what stands behind the end of a segment.
type stray struct {
	proof int64 // offset of a whole frame that says the end was durable; -1: none
	whole bool  // there is any whole frame
}

// scanBudget bounds the bytes checked behind an end, in segments: what is left
// of a former life may have been written to look like frames.
const scanBudget = 16

// scan looks for whole frames behind a broken or empty place at off.
func scan(b []byte, seq uint64, off int64) stray {
	s := stray{proof: -1}
	budget := scanBudget * int64(len(b))
	for at := off + alignment; at+frameHeader <= int64(len(b)) && budget > 0; at += alignment {
		if binary.LittleEndian.Uint32(b[at:]) != frameMagic {
			continue
		}
		budget -= int64(min(binary.LittleEndian.Uint32(b[at+4:]), uint32(len(b))))
		f, ok := readFrame(b, seq, at)
		if !ok {
			continue
		}
		s.whole = true
		if int64(f.durable) > off {
			s.proof = at
			return s
		}
	}
	return s
}
