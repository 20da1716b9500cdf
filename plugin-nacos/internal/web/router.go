package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/easynet-cn/batata/core/plugin"
	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
)

// Route is one endpoint of the API; Path comes after the prefix of the mount. A
// part of it may be :name, which is then a parameter of the call.
type Route struct {
	Method, Path string
	Access       authmap.Access
	Style        Style
	Handle       func(*Call) error
}

// Router serves routes below the prefixes of a mount.
type Router struct {
	echo     *echo.Echo
	gate     *authmap.Gate
	logger   *zap.Logger
	prefixes []string
	routes   []Route
}

// NewRouter builds a Router without routes.
func NewRouter(gate *authmap.Gate, logger *zap.Logger, prefixes []string) *Router {
	r := &Router{echo: echo.New(), gate: gate, logger: logger}
	for _, p := range prefixes {
		r.prefixes = append(r.prefixes, strings.TrimSuffix(p, "/"))
	}
	r.echo.HTTPErrorHandler = func(err error, c echo.Context) { r.unrouted(c.Response(), c.Request(), err) }
	r.root()
	return r
}

// Add registers routes. It panics on one without a method, access or handler: a
// programmer's error, found by every start.
func (r *Router) Add(routes ...Route) {
	for _, route := range routes {
		if route.Method == "" || !route.Access.Valid() || route.Handle == nil || route.Style == 0 {
			panic("web: incomplete route " + route.Method + " " + route.Path) //nolint:forbidigo // see above
		}
		r.routes = append(r.routes, route)
		for _, prefix := range r.prefixes {
			pattern := prefix + route.Path
			h := func(c echo.Context) error {
				r.serve(&route, pattern, c)
				return nil
			}
			r.echo.Add(route.Method, pattern, h)
			if route.Method == http.MethodGet {
				r.echo.Add(http.MethodHead, pattern, h) // net/http drops the body
			}
		}
	}
}

// Routes lists what was added, for checks over the whole table.
func (r *Router) Routes() []Route { return r.routes }

// ServeHTTP implements http.Handler.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if odd(req.URL.Path) || escapedSlash(req.URL.RawPath) {
		servletError(w, req, http.StatusBadRequest, "No message available", contentJSON)
		return
	}
	r.echo.ServeHTTP(w, req)
}

// odd finds what servlet containers refuse in a path (NAC-HTP-01).
func odd(path string) bool {
	return strings.Contains(path, "//") || strings.IndexByte(path, '\\') >= 0 || strings.IndexByte(path, ';') >= 0
}

// escapedSlash finds what would be a separator once decoded (NAC-HTP-01). A path
// that needed no escapes beyond the usual ones has no raw form.
func escapedSlash(raw string) bool {
	return raw != "" && (strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f"))
}

// serve is the life of one call.
func (r *Router) serve(route *Route, pattern string, c echo.Context) {
	w, req := c.Response().Writer, c.Request()
	if n, ok := w.(plugin.RouteNamer); ok {
		n.NameRoute(pattern)
	}
	call := &Call{W: w, R: req}
	call.params = call.room[:0]
	for _, name := range c.ParamNames() {
		call.params = append(call.params, pathParam(req, name, c.Param(name)))
	}
	if err := r.admit(route, call); err != nil {
		r.fail(route, call, err)
		return
	}
	if err := route.Handle(call); err != nil {
		r.fail(route, call, err)
	}
}

// admit reads the parameters and asks the gate.
func (r *Router) admit(route *Route, c *Call) (err error) {
	if c.params, err = parse(c.W, c.R, c.params); err != nil {
		return err
	}
	a := route.Access
	if a.IsOpen() || !r.gate.Asks(a) || r.gate.Server(c.R.Header.Get) {
		return nil
	}
	proof := authmap.Credentials(c.ParamAnyCase, c.R.Header.Get)
	proof.Addr, proof.Plane = c.Peer(), a.Plane()
	c.Identity, err = r.gate.Authenticate(c.Context(), proof)
	if err != nil {
		return err
	}
	if !r.gate.Guarded(a.Plane()) {
		return nil
	}
	return r.gate.Authorize(c.Context(), a.Plane(), c.Identity, a.Requests(c.Param)...)
}

// pathParam is a part of the path as a parameter. It is escaped still when the
// path has a form of its own, which is the one that was matched.
func pathParam(r *http.Request, name, value string) param {
	if r.URL.RawPath != "" {
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
	}
	if !utf8.ValidString(value) {
		value = ""
	}
	return param{name, value}
}

func (r *Router) naming(path string) bool {
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(path, prefix+"/v1/ns/") {
			return true
		}
	}
	return false
}

// root answers the prefix itself.
func (r *Router) root() {
	for _, prefix := range r.prefixes {
		if prefix == "" {
			continue
		}
		r.echo.GET(prefix, func(c echo.Context) error {
			return c.Redirect(http.StatusFound, prefix+"/")
		})
		r.echo.GET(prefix+"/", func(c echo.Context) error {
			return c.Blob(http.StatusOK, contentText, []byte("Batata serves the Nacos API below this path."))
		})
	}
}

// unrouted answers what no route takes. V1 naming tells a wrong path and a wrong
// method alike (NAC-HTP-07).
func (r *Router) unrouted(w http.ResponseWriter, req *http.Request, err error) {
	if r.naming(req.URL.Path) {
		w.Header().Del("Allow")
		servletError(w, req, http.StatusNotImplemented, "no such api:"+req.Method+":"+req.URL.Path, contentJSON)
		return
	}
	kind := contentJSON
	if strings.Contains(req.URL.Path, "/v1/") && !strings.Contains(req.URL.Path, "/v1/auth/") {
		kind = contentJSONUTF8
	}
	if err == echo.ErrMethodNotAllowed { //nolint:errorlint // echo hands over its own value; it has set Allow
		servletError(w, req, http.StatusMethodNotAllowed, "Method '"+req.Method+"' is not supported.", kind)
		return
	}
	servletError(w, req, http.StatusNotFound, "No endpoint "+req.Method+" "+req.URL.Path+".", kind)
}
