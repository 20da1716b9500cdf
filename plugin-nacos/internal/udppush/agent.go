package udppush

import (
	"strconv"
	"strings"
)

// agents are the clients that take pushes, with the first version that does
// (NAC-UDP-02).
func agents() []agent {
	return []agent{
		{"Nacos-Java-Client", version{0, 1, 0}, maxDatagram},
		{"Nacos-Go-Client", version{0, 1, 0}, 4024}, // NAC-UDP-07
		{"Nacos-DNS", version{0, 4, 3}, maxDatagram},
		{"Nacos-C-Client", version{1, 0, 12}, maxDatagram},
		{"vip-client4cpp", version{1, 0, 12}, maxDatagram},
		{"Nacos-CSharp-Client", version{0, 9, 0}, maxDatagram},
	}
}

// maxDatagram is what UDP over IPv4 carries.
const maxDatagram = 65_507

// maxAgent bounds what is kept of an agent.
const maxAgent = 128

type agent struct {
	name  string
	since version
	room  int // bytes of a packet that it reads
}

type version [3]int

// roomOf is how large the packets for a client may be, 0 when it takes none.
func roomOf(text string) int {
	if len(text) > maxAgent {
		return 0
	}
	for _, a := range agents() {
		rest, ok := strings.CutPrefix(text, a.name)
		if !ok {
			continue
		}
		_, number, ok := strings.Cut(rest, ":v")
		if !ok {
			return 0
		}
		if v, ok := parseVersion(number); ok && !v.before(a.since) {
			return a.room
		}
		return 0
	}
	return 0
}

// parseVersion reads up to three numbers; what follows the last is a suffix.
func parseVersion(text string) (v version, ok bool) {
	for i := range v {
		end := 0
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(text[:end])
		if err != nil {
			return v, i > 0
		}
		v[i], text = n, text[end:]
		if !strings.HasPrefix(text, ".") {
			break
		}
		text = text[1:]
	}
	return v, true
}

func (v version) before(other version) bool {
	for i := range v {
		if v[i] != other[i] {
			return v[i] < other[i]
		}
	}
	return false
}
