package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/easynet-cn/batata/e2e/bench/swarm"
)

// instance is one member of a service as clients send and lists show it
// (NAC-NAM-01..08).
type instance struct {
	ID          string            `json:"instanceId,omitempty"`
	IP          string            `json:"ip"`
	Port        int               `json:"port"`
	Weight      float64           `json:"weight"`
	Healthy     bool              `json:"healthy"`
	Enabled     bool              `json:"enabled"`
	Ephemeral   bool              `json:"ephemeral"`
	Cluster     string            `json:"clusterName"`
	Service     string            `json:"serviceName"`
	Metadata    map[string]string `json:"metadata"`
	Interval    int               `json:"instanceHeartBeatInterval,omitempty"`
	Timeout     int               `json:"instanceHeartBeatTimeOut,omitempty"`
	DeleteAfter int               `json:"ipDeleteTimeout,omitempty"`
}

// address is the n-th one, of 24 bits.
func address(n int) string {
	return "10." + strconv.Itoa(n>>16&255) + "." + strconv.Itoa(n>>8&255) + "." + strconv.Itoa(n&255)
}

func newInstance(service string, n int) instance {
	return instance{
		IP: address(n), Port: 8080, Weight: 1, Healthy: true, Enabled: true, Ephemeral: true,
		Cluster: "DEFAULT", Service: service, Metadata: map[string]string{},
	}
}

// referenceList is a list of instances to encode (NAC-NAM-10..17).
func referenceList(n int) any {
	hosts := make([]instance, n)
	for i := range hosts {
		h := newInstance(group+"@@thousand", i)
		h.ID = fmt.Sprintf("%s#%d#DEFAULT#%s", h.IP, h.Port, h.Service)
		h.Interval, h.Timeout, h.DeleteAfter = 5000, 15000, 30000
		hosts[i] = h
	}
	return struct {
		Name    string     `json:"name"`
		Group   string     `json:"groupName"`
		Cluster string     `json:"clusters"`
		Cache   int        `json:"cacheMillis"`
		Hosts   []instance `json:"hosts"`
		Time    int64      `json:"lastRefTime"`
		Sum     string     `json:"checksum"`
		All     bool       `json:"allIPs"`
		Protect bool       `json:"reachProtectionThreshold"`
		Valid   bool       `json:"valid"`
	}{group + "@@thousand", group, "", 10000, hosts, 1, "", false, false, true}
}

func referenceBody(n int) []byte {
	b, err := json.Marshal(referenceList(n))
	if err != nil {
		panic(err)
	}
	return b
}

// payload encodes one request of the SDK protocol.
func payload(kind string, body any) []byte {
	value, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return swarm.Payload(kind, value)
}

func registerPayload(service string, i instance) []byte {
	return instancePayload("registerInstance", service, i)
}

func instancePayload(kind, service string, i instance) []byte {
	return payload("InstanceRequest", map[string]any{
		"namespace": "public", "serviceName": service, "groupName": group, "type": kind, "instance": i, "module": "naming",
	})
}

func subscribePayload(service string) []byte {
	return payload("SubscribeServiceRequest", map[string]any{
		"namespace": "public", "serviceName": service, "groupName": group, "subscribe": true, "clusters": "", "module": "naming",
	})
}

func servicePayload(service string) []byte {
	return payload("ServiceQueryRequest", map[string]any{
		"namespace": "public", "serviceName": service, "groupName": group, "cluster": "", "healthyOnly": false, "udpPort": 0, "module": "naming",
	})
}

// registerForm is the form of one instance over HTTP V1 (NAC-H1N-01).
func registerForm(service string, i instance) string {
	b := make([]byte, 0, 256)
	b = append(b, "serviceName="...)
	b = append(b, service...)
	b = append(b, "&groupName="+group+"&ip="...)
	b = append(b, i.IP...)
	b = append(b, "&port="...)
	b = strconv.AppendInt(b, int64(i.Port), 10)
	b = append(b, "&weight="...)
	b = strconv.AppendFloat(b, i.Weight, 'f', -1, 64)
	b = append(b, "&ephemeral="...)
	b = strconv.AppendBool(b, i.Ephemeral)
	if len(i.Metadata) > 0 {
		meta, err := json.Marshal(i.Metadata)
		if err != nil {
			panic(err)
		}
		b = append(b, "&metadata="+url.QueryEscape(string(meta))...)
	}
	return string(b)
}

// formRequest is one HTTP request with a form.
func formRequest(method, path, form string) []byte {
	var b strings.Builder
	b.Grow(len(form) + 192)
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
	b.WriteString(strconv.Itoa(len(form)))
	b.WriteString("\r\n\r\n")
	b.WriteString(form)
	return []byte(b.String())
}

const (
	instancePath = "/nacos/v1/ns/instance"
	beatPath     = instancePath + "/beat"
)

func registerRequest(service string, i instance) []byte {
	return formRequest("POST", instancePath, registerForm(service, i))
}

// lightBeat is the beat of an instance that the server knows (NAC-H1N-23).
func lightBeat(service string, i instance) []byte {
	return formRequest("PUT", beatPath, "serviceName="+group+"%40%40"+service+"&ip="+i.IP+"&port="+strconv.Itoa(i.Port)+"&clusterName=DEFAULT")
}

func listPath(service string) string {
	return instancePath + "/list?serviceName=" + group + "%40%40" + service
}

func listPathV3(service string) string {
	return "/nacos/v3/client/ns/instance/list?groupName=" + group + "&serviceName=" + service
}
