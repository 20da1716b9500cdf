// Command batata is the server with all personalities of this release.
package main

import (
	nacos "github.com/easynet-cn/batata/plugin-nacos"
	"github.com/easynet-cn/batata/server"
)

func main() { server.Main(server.With(nacos.Plugin())) }
