package poll

import (
	"errors"
	"net/url"
	"strings"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
)

// The separators of the wire (NAC-H1C-30).
const (
	lineEnd  = "\x01"
	wordEnd  = "\x02"
	maxLines = 10000
)

// ErrProbe reports a list of listened configs that cannot be read.
var ErrProbe = errors.New("invalid probeModify")

// Line is one config that a client listens to.
type Line struct {
	DataID, Group, MD5 string
	Tenant             string // as the client spelled it; blank: none sent
}

// Key is the item that a line means.
func (l *Line) Key() configstore.Key { return config.Key(l.DataID, l.Group, l.Tenant) }

// ParseProbe reads the parameter Listening-Configs, which is decoded once more
// (NAC-H1C-30). The error is ErrProbe (NAC-H1C-31).
func ParseProbe(text string) ([]Line, error) {
	text, err := url.QueryUnescape(text)
	if err != nil || strings.TrimSpace(text) == "" {
		return nil, ErrProbe
	}
	n := strings.Count(text, lineEnd)
	if n == 0 || n > maxLines {
		return nil, ErrProbe
	}
	lines := make([]Line, 0, n)
	for range n {
		var line string
		line, text, _ = strings.Cut(text, lineEnd)
		words := strings.SplitN(line, wordEnd, 5)
		if len(words) < 3 || len(words) > 4 {
			return nil, ErrProbe
		}
		l := Line{DataID: words[0], Group: words[1], MD5: words[2]}
		if len(words) == 4 {
			l.Tenant = words[3]
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// AppendChanged writes one changed line the way clients read it, without the
// final newline (NAC-H1C-37).
func AppendChanged(b []byte, l *Line) []byte {
	b = append(b, url.QueryEscape(l.DataID)...)
	b = append(b, "%02"...)
	b = append(b, url.QueryEscape(l.Group)...)
	if l.Tenant != "" {
		b = append(b, "%02"...)
		b = append(b, url.QueryEscape(l.Tenant)...)
	}
	return append(b, "%01"...)
}
