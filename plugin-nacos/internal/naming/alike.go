package naming

import "encoding/binary"

// The hosts of a list are much alike: each is kept as steps over the one before it,
// which copy some of it, leave some of it out and put something else there. Behind
// the last step the rest of it is copied.

// parts are where the parts of one host begin and end in the JSON of a list. Hosts
// are compared part by part.
type parts [5]int

func (p *parts) end() int { return p[len(p)-1] }

// rendered is one host in the JSON of a list.
type rendered struct {
	json  []byte
	parts *parts
}

// part is one of its parts; nothing for no host.
func (h rendered) part(i int) []byte {
	if h.parts == nil {
		return nil
	}
	return h.json[h.parts[i]:h.parts[i+1]]
}

// appendDifference appends the steps that lead from one host to the next.
func appendDifference(dst []byte, before, this rendered) []byte {
	at := len(dst)
	dst = append(dst, 0) // how many steps
	same := 0
	for i := range len(parts{}) - 1 {
		a, b := before.part(i), this.part(i)
		head := alike(a, b, func(s []byte, i int) byte { return s[i] })
		if head == len(a) && head == len(b) {
			same += head
			continue
		}
		tail := alike(a[head:], b[head:], func(s []byte, i int) byte { return s[len(s)-1-i] })
		dst = binary.AppendUvarint(dst, uint64(same+head))
		dst = binary.AppendUvarint(dst, uint64(len(a)-head-tail))
		dst = binary.AppendUvarint(dst, uint64(len(b)-head-tail))
		dst = append(dst, b[head:len(b)-tail]...)
		same = tail
		dst[at]++
	}
	return dst
}

// alike is how many bytes two texts have in common, counted as at says.
func alike(a, b []byte, at func([]byte, int) byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if at(a, i) != at(b, i) {
			return i
		}
	}
	return n
}

// appendAlike appends the host behind before, and returns the steps behind its own.
func appendAlike(dst, before, steps []byte) (out, rest []byte) {
	n := steps[0]
	steps = steps[1:]
	for range n {
		var same, out, in int
		same, steps = count(steps)
		out, steps = count(steps)
		in, steps = count(steps)
		dst = append(append(dst, before[:same]...), steps[:in]...)
		before, steps = before[same+out:], steps[in:]
	}
	return append(dst, before...), steps
}

// count reads a number, which is mostly small.
func count(b []byte) (n int, rest []byte) {
	if b[0] < 0x80 {
		return int(b[0]), b[1:]
	}
	v, size := binary.Uvarint(b)
	return int(v), b[size:]
}
