package v1

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	"github.com/easynet-cn/batata/plugin-nacos/internal/config"
	"github.com/easynet-cn/batata/plugin-nacos/internal/errs"
	"github.com/easynet-cn/batata/plugin-nacos/internal/poll"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

const (
	headerHold  = "Long-Pulling-Timeout"
	minHold     = 10 * time.Second
	maxHold     = 10 * time.Minute // a client that asks for more is answered earlier
	holdMargin  = 500 * time.Millisecond
	firstInBody = "2.0.4" // the client version from which short polls are answered in the body
)

// listen is the long poll (NAC-H1C-30..39).
func (a *API) listen(c *web.Call) error {
	lines, err := poll.ParseProbe(c.Param("Listening-Configs"))
	if err != nil {
		return &config.Error{Reason: config.BadKey, Detail: err.Error()}
	}
	p := &poll.Poll{Lines: lines, IP: c.ClientIP(), Tag: c.Header("Vipserver-Tag")}
	hold, long := holdTime(c.R.Header)
	if !long {
		return a.shortPoll(c, p)
	}
	if c.Header(headerHold+"-No-Hangup") == "true" {
		changed, err := a.Polls.Changed(c.Context(), p)
		if err != nil {
			return err
		}
		return c.Send(a.heard.answer(changed))
	}
	return a.longPoll(c, p, hold)
}

// longPoll answers at once, or parks the call; where that cannot be, it waits here.
func (a *API) longPoll(c *web.Call, p *poll.Poll, hold time.Duration) error {
	waiting, changed, err := a.Polls.Join(c.Context(), p)
	if errors.Is(err, errs.ErrBusy) {
		pause(c, time.Second+rand.N(2*time.Second)) // spreads their retries
	}
	if err != nil {
		return err
	}
	if waiting != nil {
		parked, ok := c.Park(time.Now().Add(hold), waiting.Over)
		if ok {
			waiting.Tell(func(changed []*poll.Line) { parked.Answer(a.heard.answer(changed)) })
			return nil
		}
		if changed, err = waiting.Wait(c.Context(), hold); err != nil {
			return err
		}
	}
	return c.Send(a.heard.answer(changed))
}

// heard makes the answers to long polls. All who wait on one config get the same
// one.
type heard struct {
	last atomic.Pointer[lastHeard]
}

// keptAnswer is the longest answer that is kept for the next one.
const keptAnswer = 4 << 10

type lastHeard struct {
	dataID, group, tenant string
	answer                *plugin.Response
}

// answer is NAC-H1C-36..38.
func (h *heard) answer(changed []*poll.Line) *plugin.Response {
	switch len(changed) {
	case 0:
		return nothing
	case 1:
		l := changed[0]
		if last := h.last.Load(); last != nil && last.dataID == l.DataID && last.group == l.Group && last.tenant == l.Tenant {
			return last.answer
		}
		a := changedAnswer(changed)
		if len(a.Body) <= keptAnswer {
			h.last.Store(&lastHeard{strings.Clone(l.DataID), strings.Clone(l.Group), strings.Clone(l.Tenant), a})
		}
		return a
	}
	return changedAnswer(changed)
}

func changedAnswer(changed []*poll.Line) *plugin.Response {
	h := make(http.Header, 4)
	web.NoCache(h)
	return web.TextOf(http.StatusOK, h, string(render(changed))+"\n")
}

var nothing = web.TextOf(http.StatusOK, http.Header{ //nolint:gochecknoglobals // a constant that Go cannot say
	"Pragma":        {"no-cache"},
	"Cache-Control": {"no-cache, no-store, max-age=0, must-revalidate"},
	"Expires":       {"0"},
}, "")

// listenedTo are the namespaces that a long poll needs a right on: that of the call,
// as the reference asks (NAC-AUT-13), and those of all lines (NAD-AUTH-79).
func listenedTo(param authmap.Source) []auth.Resource {
	tenants := []string{param("tenant")}
	lines, err := poll.ParseProbe(param("Listening-Configs"))
	if err != nil {
		lines = nil // which the handler refuses
	}
	for i := range lines {
		if t := lines[i].Tenant; t != tenants[len(tenants)-1] {
			tenants = append(tenants, t)
		}
	}
	return authmap.Tenants(tenants...)
}

// holdTime reads how long the client waits (NAC-H1C-32); false is a short poll.
// A text that is no number is answered like the shortest hold.
func holdTime(h http.Header) (time.Duration, bool) {
	text := h.Get(headerHold)
	if text == "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 {
		return minHold, true
	}
	if ms > maxHold.Milliseconds() {
		ms = maxHold.Milliseconds()
	}
	return max(minHold, time.Duration(ms)*time.Millisecond-holdMargin), true
}

// shortPoll is NAC-H1C-39: old clients read headers, later ones the body.
func (a *API) shortPoll(c *web.Call, p *poll.Poll) error {
	changed, err := a.Polls.Changed(c.Context(), p)
	if err != nil {
		return err
	}
	web.NoCache(c.W.Header())
	body := string(render(changed))
	if !older(c.Header("Client-Version"), firstInBody) {
		if body != "" {
			body += "\n"
		}
		return c.Text(http.StatusOK, body)
	}
	var pairs strings.Builder
	for _, l := range changed {
		pairs.WriteString(l.DataID + ":" + l.Group + ";")
	}
	c.W.Header().Set("Probe-Modify-Response", pairs.String())
	c.W.Header().Set("Probe-Modify-Response-New", body)
	return c.Text(http.StatusOK, "")
}

func render(lines []*poll.Line) (b []byte) {
	for _, l := range lines {
		b = poll.AppendChanged(b, l)
	}
	return b
}

// older compares versions of the form 1.2.3; a missing or odd one is old.
func older(version, than string) bool {
	v, t := strings.Split(version, "."), strings.Split(than, ".")
	for i := range t {
		if i >= len(v) {
			return true
		}
		a, err := strconv.Atoi(v[i])
		b, _ := strconv.Atoi(t[i])
		if err != nil || a < b {
			return true
		}
		if a > b {
			return false
		}
	}
	return false
}

// pause delays an answer, so that refused clients do not come back at once.
func pause(c *web.Call, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.Context().Done():
	}
}

// listening is the answer to who listens; the odd key is that of the reference.
type listening struct {
	Status int               `json:"collectStatus"`
	Keys   map[string]string `json:"lisentersGroupkeyStatus"`
}

// listeners is NAC-H1C-11.
func (a *API) listeners(c *web.Call) error {
	if err := c.Require("dataId", "group"); err != nil {
		return err
	}
	k := keyOf(c)
	out := a.Polls.Listeners(k)
	maps.Copy(out, a.Listeners.Listeners(k))
	return c.Value(listening{http.StatusOK, out})
}

// listenedFrom is the namespace whose listeners are told, or all of them.
func listenedFrom(param authmap.Source) auth.Resource {
	r := auth.Resource{Kind: authmap.KindConfig, Namespace: param("tenant")}
	if param("all") == "true" {
		r.Namespace = "*"
	}
	return r
}

// listenedBy is NAC-H1C-17.
func (a *API) listenedBy(c *web.Call) error {
	if err := c.Require("ip"); err != nil {
		return err
	}
	ip, all := c.Param("ip"), c.Param("all") == "true"
	found := a.Polls.ListenedBy(ip)
	maps.Copy(found, a.Listeners.ListenedBy(ip))
	tenant := config.Key("", "", c.Param("tenant")).Namespace
	out := map[string]string{}
	for k, md5 := range found {
		if all || k.Namespace == tenant {
			out[groupKey(k)] = md5
		}
	}
	return c.Value(listening{http.StatusOK, out})
}

// groupKey writes the config group key: parts joined by +, which is escaped
// inside them.
func groupKey(k configstore.Key) string {
	escape := strings.NewReplacer("%", "%25", "+", "%2B")
	return escape.Replace(k.Name) + "+" + escape.Replace(k.Group) + "+" + escape.Replace(k.Namespace)
}
