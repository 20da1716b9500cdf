// Command go2 drives github.com/nacos-group/nacos-sdk-go/v2 for the end-to-end
// suite; see package wire.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"

	"github.com/easynet-cn/batata/e2e/sdk/wire"
)

func main() {
	d := driver{clients: map[string]client{}}
	if err := wire.Serve(os.Stdin, os.Stdout, d.handle); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type client struct {
	config config_client.IConfigClient
	naming naming_client.INamingClient
}

type driver struct{ clients map[string]client }

func (d driver) handle(c wire.Command, tell func(wire.Message)) wire.Message {
	if c.Op == wire.Connect {
		made, err := connect(c)
		d.clients[c.Client] = made
		return wire.Result(true, err)
	}
	cl, ok := d.clients[c.Client]
	if !ok {
		return wire.Message{Error: "no client " + c.Client}
	}
	param := vo.ConfigParam{DataId: c.DataID, Group: c.Group}
	switch c.Op {
	case wire.Publish:
		param.Content = c.Content
		return wire.Result(cl.config.PublishConfig(param))
	case wire.Get:
		content, err := cl.config.GetConfig(param)
		m := wire.Result(true, err)
		m.Content = content
		return m
	case wire.Remove:
		return wire.Result(cl.config.DeleteConfig(param))
	case wire.Listen:
		param.OnChange = func(_, group, name, content string) {
			tell(wire.Message{Event: wire.Config, Client: c.Client, Item: wire.Item{Group: group, DataID: name}, Content: content})
		}
		return wire.Result(true, cl.config.ListenConfig(param))
	case wire.Close:
		cl.config.CloseClient()
		cl.naming.CloseClient()
		delete(d.clients, c.Client)
		return wire.Message{OK: true}
	}
	return cl.discovery(c, tell)
}

func (cl client) discovery(c wire.Command, tell func(wire.Message)) wire.Message {
	switch c.Op {
	case wire.Register:
		i := c.Instance
		return wire.Result(cl.naming.RegisterInstance(vo.RegisterInstanceParam{
			ServiceName: c.Service, GroupName: c.Group, Ip: i.IP, Port: uint64(i.Port), Weight: i.Weight,
			Metadata: i.Metadata, Enable: true, Healthy: true, Ephemeral: true, // NAC-QRK-36
		}))
	case wire.Deregister:
		i := c.Instance
		return wire.Result(cl.naming.DeregisterInstance(vo.DeregisterInstanceParam{
			ServiceName: c.Service, GroupName: c.Group, Ip: i.IP, Port: uint64(i.Port), Ephemeral: true,
		}))
	case wire.Subscribe:
		return wire.Result(true, cl.naming.Subscribe(&vo.SubscribeParam{
			ServiceName: c.Service, GroupName: c.Group,
			SubscribeCallback: func(found []model.Instance, _ error) { // the error says that the list is empty
				tell(wire.Message{Event: wire.Service, Client: c.Client, Item: c.Item, Instances: instances(found)})
			},
		}))
	case wire.List:
		found, err := cl.naming.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: c.Service, GroupName: c.Group})
		m := wire.Result(true, err)
		m.Instances = instances(found)
		return m
	}
	return wire.Message{Error: "no operation " + c.Op}
}

func instances(found []model.Instance) []wire.Instance {
	var list []wire.Instance
	for _, i := range found {
		list = append(list, wire.Instance{IP: i.Ip, Port: int(i.Port), Weight: i.Weight, Cluster: i.ClusterName, Metadata: i.Metadata})
	}
	return list
}

// servers reads the addresses of a command.
func servers(list string) (out []constant.ServerConfig, err error) {
	for server := range strings.SplitSeq(list, ",") {
		host, text, err := net.SplitHostPort(server)
		if err != nil {
			return nil, err
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, err
		}
		out = append(out, *constant.NewServerConfig(host, port))
	}
	return out, nil
}

func connect(c wire.Command) (client, error) {
	servers, err := servers(c.Server)
	if err != nil {
		return client{}, err
	}
	param := vo.NacosClientParam{
		ServerConfigs: servers,
		ClientConfig: constant.NewClientConfig(
			constant.WithNotLoadCacheAtStart(true),
			constant.WithLogDir(filepath.Join(c.Dir, "log")),
			constant.WithCacheDir(filepath.Join(c.Dir, "cache")),
			constant.WithLogLevel("info"),
			constant.WithDisableUseSnapShot(true),   // answers come from the server or not at all
			constant.WithUpdateCacheWhenEmpty(true), // NAC-NAM-42
			constant.WithTimeoutMs(5000),
		),
	}
	config, err := clients.NewConfigClient(param)
	if err != nil {
		return client{}, err
	}
	naming, err := clients.NewNamingClient(param)
	return client{config: config, naming: naming}, err
}
