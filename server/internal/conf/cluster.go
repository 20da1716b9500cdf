package conf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// The values of cluster.member.lookup.type.
const (
	LookupStandalone    = "standalone"
	LookupFile          = "file"
	LookupAddressServer = "address-server"
	// LookupInline is what nacos.member.list alone means.
	LookupInline = "inline"
)

func clusterKeys() []Key { return append(lookupKeys(), peerKeys()...) }

// lookupKeys say that there are other members, and where they are listed.
func lookupKeys() []Key {
	return []Key{
		{
			Name: "nacos.standalone", Kind: Bool, Default: "true",
			Doc: "false: this node is one of a cluster; it needs cluster.secret and a list of members",
		},
		{
			Name: "cluster.member.lookup.type", Kind: Text, Default: LookupStandalone,
			Aliases: []string{"nacos.core.member.lookup.type"},
			Doc:     "where the members are listed: standalone, file or address-server; unset, nacos.member.list or the file, whichever is there",
		},
		{
			Name: "nacos.member.list", Kind: Text, Aliases: []string{"cluster.member.list", "nacos.core.member.list"},
			Env: []string{"NACOS_SERVERS"},
			Doc: "the members, host:main-port with commas between, this one included",
		},
		{
			Name: "cluster.member.file", Kind: Text, Default: "conf/cluster.conf",
			Doc: "file of members, one per line, read again when it changes",
		},
		{
			Name: "cluster.member.address-server.domain", Kind: Text, Default: "jmenv.tbsite.net",
			Aliases: []string{"address.server.domain"}, Env: []string{"address_server_domain"},
			Doc: "host of the address server",
		},
		{
			Name: "cluster.member.address-server.port", Kind: Port, Default: "8080",
			Aliases: []string{"address.server.port"}, Env: []string{"address_server_port"},
			Doc: "its port",
		},
		{
			Name: "cluster.member.address-server.url", Kind: Path, Default: "/nacos/serverlist",
			Aliases: []string{"address.server.url"}, Env: []string{"address_server_url"},
			Doc: "its path",
		},
		{
			Name: "cluster.member.address-server.retry", Kind: Int, Default: "5", Aliases: []string{"nacos.core.address-server.retry"},
			Doc: "how often it is asked at start",
		},
	}
}

// peerKeys are how members speak to each other.
func peerKeys() []Key {
	return []Key{
		{
			Name: "cluster.secret", Kind: Text, Secret: true, Env: []string{"BATATA_CLUSTER_SECRET"},
			Doc: "at least 32 bytes, the same on all members, that prove membership; make one with: openssl rand -base64 48",
		},
		{
			Name: "cluster.secret_file", Kind: Text, Env: []string{"BATATA_CLUSTER_SECRET_FILE"},
			Doc: "file that holds it instead",
		},
		{
			Name: "cluster.port", Kind: Port, Default: "0",
			Doc: "port for other members; 0 is the main port + 1001; all members have it at the same distance",
		},
		{
			Name: "cluster.advertise", Kind: Text, Env: []string{"BATATA_CLUSTER_ADVERTISE"},
			Doc: "host by which other members reach this one; empty is its entry in the list of members",
		},
		{
			Name: "cluster.tls.cert_file", Kind: Text, Aliases: []string{"nacos.remote.peer.rpc.tls.certChainFile"},
			Doc: "certificate chain in PEM that members show each other, beside the secret",
		},
		{
			Name: "cluster.tls.key_file", Kind: Text, Aliases: []string{"nacos.remote.peer.rpc.tls.certPrivateKey"},
			Doc: "private key in PEM",
		},
		{
			Name: "cluster.tls.ca_file", Kind: Text, Aliases: []string{"nacos.remote.peer.rpc.tls.trustCollectionCertFile"},
			Doc: "authorities of the certificates of members",
		},
		{
			Name: "cluster.raft.heartbeat", Kind: Duration, Default: "100ms",
			Doc: "pause between heartbeats of the leader; an election takes ten to twenty of them",
		},
		{
			Name: "cluster.replace_after", Kind: Duration, Default: "60s",
			Doc: "how long a member must be silent before one with its address and another disk takes its place",
		},
	}
}

// Clustered says whether this node is one of several, and where they are listed:
// one of the Lookup constants.
func (v *Values) Clustered() (lookup string, ok bool, err error) {
	if v.Bool("nacos.standalone") {
		return LookupStandalone, false, nil
	}
	const key = "cluster.member.lookup.type"
	if v.Set(key) {
		switch kind := v.Text(key); kind {
		case LookupFile, LookupAddressServer:
			return kind, true, nil
		case LookupStandalone, "":
			return "", false, fmt.Errorf("%s: standalone, and nacos.standalone is false: set one of them otherwise", key)
		default:
			return "", false, fmt.Errorf("%s: want standalone, file or address-server, got %q", key, kind)
		}
	}
	if v.Text("nacos.member.list") != "" {
		return LookupInline, true, nil
	}
	if _, err := os.Stat(v.Text("cluster.member.file")); err == nil {
		return LookupFile, true, nil
	}
	return "", false, fmt.Errorf("nacos.standalone is false, and no members are listed: "+
		"set nacos.member.list, write them to %s, or set %s=address-server", v.Text("cluster.member.file"), key)
}

// minClusterSecret is the shortest secret of a cluster in bytes.
const minClusterSecret = 32

// ClusterSecret returns the secret of the cluster.
func (v *Values) ClusterSecret() ([]byte, error) {
	const key, fileKey = "cluster.secret", "cluster.secret_file"
	secret := []byte(v.Secret(key).Reveal())
	if path := v.Text(fileKey); path != "" {
		if len(secret) > 0 {
			return nil, fmt.Errorf("%s and %s are both set", key, fileKey)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fileKey, err)
		}
		secret = bytes.TrimRight(b, "\r\n")
	}
	switch {
	case len(secret) == 0:
		return nil, errors.New("nacos.standalone is false: set cluster.secret, or BATATA_CLUSTER_SECRET_FILE to a file that holds it, " +
			"the same on all members; make one with: openssl rand -base64 48")
	case len(secret) < minClusterSecret:
		return nil, fmt.Errorf("%s: want at least %d bytes, got %d; make one with: openssl rand -base64 48", key, minClusterSecret, len(secret))
	}
	return secret, nil
}
