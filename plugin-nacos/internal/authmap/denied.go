package authmap

import (
	"errors"

	"github.com/easynet-cn/batata/core/auth"
)

// The texts that clients and consoles search for (NAD-AUTH-56, NAD-AUTH-60).
const (
	TextUnknown   = "User not found! Please check user exist or password is right!"
	TextForbidden = "authorization failed!"

	textInvalid   = "token invalid!"
	textExpired   = "token expired!"
	textSignature = "Invalid signature"
	textAlgorithm = "unsupported signature algorithm"
)

// Denied is a refused request. The HTTP status is 403 whatever the code says
// (NAC-QRK-32).
type Denied struct {
	Code  int    // 401: who are you, 403: not you
	Text  string // without the code
	Cause error  // what core said; nil for a refused permission
}

// Error renders the message of the reference.
func (d *Denied) Error() string {
	text := d.Text
	if text == "" || text[len(text)-1] != '.' {
		text += "."
	}
	if d.Code == 401 {
		return "Code: 401, Message: " + text
	}
	return "Code: 403, Message: " + text
}

// Unwrap returns what core said.
func (d *Denied) Unwrap() error { return d.Cause }

// Expired says whether the session is over, rather than never begun: consoles
// then show the login page.
func (d *Denied) Expired() bool {
	return errors.Is(d.Cause, auth.ErrTokenExpired) || errors.Is(d.Cause, auth.ErrTokenInvalid) ||
		errors.Is(d.Cause, auth.ErrTokenSignature) || errors.Is(d.Cause, auth.ErrTokenAlgorithm)
}

// unknown renders a refused credential.
func unknown(err error) *Denied {
	d := &Denied{Code: 401, Text: TextUnknown, Cause: err}
	switch {
	case errors.Is(err, auth.ErrTokenExpired):
		d.Text = textExpired
	case errors.Is(err, auth.ErrTokenSignature):
		d.Text = textSignature
	case errors.Is(err, auth.ErrTokenAlgorithm):
		d.Text = textAlgorithm
	case errors.Is(err, auth.ErrTokenInvalid):
		d.Text = textInvalid
	case errors.Is(err, auth.ErrTokenSubject):
		d.Code, d.Text = 403, TextForbidden // NAD-AUTH-60
	}
	return d
}
