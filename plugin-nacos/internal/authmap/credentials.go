package authmap

import (
	"strings"

	"github.com/easynet-cn/batata/core/auth"
)

// The names under which clients send credentials. Lookups ignore case.
const (
	HeaderAuthorization = "Authorization"
	ParamToken          = "accessToken"
	ParamUser           = "username"
	ParamPassword       = "password"

	// The same as headers, in the form that net/http looks up without a copy.
	headerToken    = "Accesstoken"
	headerUser     = "Username"
	headerPassword = "Password"

	bearer = "Bearer "
)

// Source gives one value of a request by name, blank when absent.
type Source func(name string) string

// Credentials finds what a request proves itself with (NAD-AUTH-50): a bearer
// token first, then the token, then user and password; a parameter wins over
// the header of the same name, and a blank one of them is none. Addr and Plane are
// left to the caller, as is that names are found in any case (NAC-AUT-08).
func Credentials(param, header Source) auth.Credentials {
	either := func(name, asHeader string) string {
		if v := param(name); strings.TrimSpace(v) != "" {
			return v
		}
		return header(asHeader)
	}
	token, ok := strings.CutPrefix(either(HeaderAuthorization, HeaderAuthorization), bearer)
	if !ok || strings.TrimSpace(token) == "" {
		token = either(ParamToken, headerToken)
	}
	if token = strings.TrimSpace(token); token != "" {
		return auth.Credentials{Token: token}
	}
	c := auth.Credentials{User: either(ParamUser, headerUser)}
	if c.User != "" {
		c.Password = []byte(either(ParamPassword, headerPassword))
	}
	return c
}

// Blank says whether there is nothing to authenticate.
func Blank(c auth.Credentials) bool { return c.Token == "" && c.User == "" }
