package naminghttp

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/easynet-cn/batata/plugin-nacos/internal/naming"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// The codes of an answer to a beat; the HTTP status is 200 with both
// (NAC-QRK-21).
const (
	beatOK      = 10200
	beatUnknown = 20404
)

// beat is NAC-H1N-07 and NAC-H2-25, bare in both. Of a beat with JSON only the
// address is read unless the instance is unknown.
func (a *API) beat(g generation) handler {
	return func(c *web.Call) error {
		r, err := g.read(c)
		if err != nil {
			return err
		}
		if err := r.need("serviceName"); err != nil {
			return err
		}
		if g == v2 {
			if err := r.grouped(); err != nil {
				return err
			}
		}
		b, full, err := r.beat()
		if err != nil {
			return err
		}
		out, err := a.Naming.Beat(c.Context(), r.key, b)
		if err == nil && !out.Known && full != "" {
			var in naming.Instance
			if in, err = beatInstance(b, full); err != nil {
				return err
			}
			in.NoID = g != v1
			b.Full = &in
			out, err = a.Naming.Beat(c.Context(), r.key, b)
		}
		if err != nil {
			return err
		}
		return encoded(c, func(dst []byte) []byte { return appendBeaten(dst, out) })
	}
}

// appendBeaten appends the answer to a beat (NAC-H1N-24, NAC-QRK-22).
func appendBeaten(dst []byte, b naming.Beaten) []byte {
	code := int64(beatOK)
	if !b.Known {
		code = beatUnknown
	}
	dst = append(dst, `{"clientBeatInterval":`...)
	dst = strconv.AppendInt(dst, b.Interval, 10)
	dst = append(dst, `,"code":`...)
	dst = strconv.AppendInt(dst, code, 10)
	return append(dst, `,"lightBeatEnabled":true}`...)
}

// beat reads which instance lives, and the JSON of a beat that is no light one.
func (r *request) beat() (b naming.Beat, full string, err error) {
	full = r.text("beat")
	b, err = readBeat(naming.Beat{IP: r.text("ip"), Cluster: r.cluster()}, r.text("port"), full)
	return b, full, err
}

// readBeat reads which instance lives: the JSON overrides the parameters
// (NAC-H1N-20), and passes the check that those have passed.
func readBeat(b naming.Beat, port, full string) (naming.Beat, error) {
	if full != "" {
		if len(full) > maxJSON || full[0] != '{' || !gjson.Valid(full) {
			return b, badBeat()
		}
		ip, at, cluster := gjson.Get(full, "ip"), gjson.Get(full, "port"), gjson.Get(full, "cluster")
		if ip.Type == gjson.String && ip.Str != "" {
			b.IP = ip.Str
		}
		if cluster.Type == gjson.String && cluster.Str != "" {
			b.Cluster = cluster.Str
		}
		if at.Exists() && at.Type != gjson.Null {
			port = at.String()
		}
		if err := naming.CheckFormat(&naming.Names{IP: b.IP, Port: port, Cluster: b.Cluster}); err != nil {
			return b, err
		}
	}
	if port == "" {
		return b, nil
	}
	var err error
	b.Port, err = naming.ParsePort(port)
	return b, err
}

// beatInstance is the instance that a beat describes, registered when it is
// unknown (NAC-H1N-22). A weight that is not there is 0, as in the reference.
func beatInstance(b naming.Beat, full string) (naming.Instance, error) {
	in := naming.NewInstance(strings.Clone(b.IP), b.Port)
	if in.IP == "" {
		return in, &web.MissingError{Name: "ip"}
	}
	in.Cluster = strings.Clone(b.Cluster)
	in.Weight = gjson.Get(full, "weight").Float()
	if err := naming.CheckWeight(in.Weight); err != nil {
		return in, err
	}
	var err error
	if in.Metadata, err = jsonMetadata(gjson.Get(full, "metadata")); err != nil {
		return in, badBeat()
	}
	return in, naming.CheckFormat(&naming.Names{Metadata: in.Metadata})
}

// badBeat is a beat that cannot be read: a failure, as the reference tells it.
func badBeat() error { return &naming.Error{Reason: naming.BadBeat, Detail: "beat cannot be read"} }
