package account

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/easynet-cn/batata/core/auth"
	"github.com/easynet-cn/batata/plugin-nacos/internal/web"
)

// The name of the first administrator, whatever the caller asks for
// (NAD-AUTH-02).
const adminName = "nacos"

// made is the answer of the one call that succeeds.
type made struct {
	User     string `json:"username"`
	Password string `json:"password"`
}

// taken is what the second caller is told, with HTTP status 200 and code 409
// (NAD-AUTH-02); V3 ends it with a period.
const taken = "have admin user cannot use it"

// firstAdmin creates the first administrator, once (PRD-12). A blank password
// is replaced by a random one, which the answer shows.
func (a *API) firstAdmin(answer func(*web.Call, made) error, refuse func(*web.Call) error) func(*web.Call) error {
	return func(c *web.Call) error {
		password := c.Param("password")
		if password == "" {
			password = rand.Text()
		}
		token := c.Header("X-Batata-Setup-Token")
		if token == "" {
			token = c.Param("setupToken")
		}
		err := a.directory.Bootstrap(c.Context(), auth.FirstAdmin{
			User: adminName, Password: []byte(password), Local: c.Local(), Addr: c.Peer(), Token: token,
		})
		if errors.Is(err, auth.ErrBootstrapped) {
			return refuse(c)
		}
		if err != nil {
			return fmt.Errorf("first administrator: %w", err)
		}
		c.W.Header().Set("Cache-Control", "no-store")
		return answer(c, made{adminName, password})
	}
}

func answerV1(c *web.Call, m made) error { return c.JSON(m) }

func answerV3(c *web.Call, m made) error { return c.Data(m) }

func refuseV1(c *web.Call) error {
	return c.JSON(web.RestResult{Code: http.StatusConflict, Data: taken})
}

func refuseV3(c *web.Call) error {
	return c.Result(http.StatusOK, web.Result{Code: http.StatusConflict, Message: taken + "."})
}
