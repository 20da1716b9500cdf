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

	bearer = "Bearer "
)

// Source gives one value of a request by name, blank when absent.
type Source func(name string) string

// Credentials finds what a request proves itself with (NAD-AUTH-50): a bearer
// token first, then the token, then user and password; a parameter wins over
// the header of the same name. Addr and Plane are left to the caller.
func Credentials(param, header Source) auth.Credentials {
	either := func(name string) string {
		if v := param(name); v != "" {
			return v
		}
		return header(name)
	}
	if token, ok := strings.CutPrefix(either(HeaderAuthorization), bearer); ok {
		return auth.Credentials{Token: strings.TrimSpace(token)}
	}
	if token := either(ParamToken); token != "" {
		return auth.Credentials{Token: token}
	}
	c := auth.Credentials{User: either(ParamUser)}
	if c.User != "" {
		c.Password = []byte(either(ParamPassword))
	}
	return c
}

// Blank says whether there is nothing to authenticate.
func Blank(c auth.Credentials) bool { return c.Token == "" && c.User == "" }
