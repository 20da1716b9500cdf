package conf

// Keys returns the table of every key this version reads, in the order of the
// documented defaults file.
func Keys() []Key {
	var all []Key
	for _, group := range [][]Key{serverKeys(), clusterKeys(), authKeys(), nacosKeys(), laterKeys()} {
		all = append(all, group...)
	}
	return all
}

func serverKeys() []Key {
	return []Key{
		{
			Name: "data_dir", Kind: Text, Default: "./data", Env: []string{"BATATA_DATA_DIR"},
			Doc: "directory of everything that must survive; nacos.home means its subdirectory data",
		},
		{
			Name: "nacos.server.main.port", Kind: Port, Default: "8848",
			Aliases: []string{"server.port"}, Env: []string{"NACOS_APPLICATION_PORT"},
			Doc: "HTTP and gRPC on one port; the SDK gRPC port is this one + 1000",
		},
		{
			Name: "server.bind", Kind: Text, Aliases: []string{"nacos.server.ip", "nacos.inetutils.ip-address"},
			Env: []string{"NACOS_SERVER_IP", "BATATA_SERVER_BIND"},
			Doc: "address every listener binds to; empty is all of them, or loopback in protected mode",
		},
		{
			Name: "server.allow_unauthenticated", Kind: Bool, Default: "false",
			Env: []string{"BATATA_SERVER_ALLOW_UNAUTHENTICATED"},
			Doc: "serve planes that need no credentials on every address (unsafe)",
		},
		{
			Name: "server.drain", Kind: Duration, Default: "5s", Env: []string{"BATATA_SERVER_DRAIN"},
			Doc: "how long the server stays up, not ready, before it stops accepting",
		},
		{
			Name: "server.tls.cert_file", Kind: Text, Aliases: []string{"nacos.remote.server.rpc.tls.certChainFile"},
			Doc: "certificate chain in PEM; with it TLS is spoken beside plaintext on the same ports",
		},
		{
			Name: "server.tls.key_file", Kind: Text, Aliases: []string{"nacos.remote.server.rpc.tls.certPrivateKey"},
			Doc: "private key in PEM",
		},
		{
			Name: "server.tls.client_ca_file", Kind: Text, Aliases: []string{"nacos.remote.server.rpc.tls.trustCollectionCertFile"},
			Doc: "authorities of client certificates; with it clients must show one",
		},
		{
			Name: "server.tls.plaintext", Kind: Bool, Default: "true", Aliases: []string{"nacos.remote.server.rpc.tls.compatibility"},
			Doc: "with TLS on, also accept connections without it",
		},
		{
			Name: "durability", Kind: Text, Default: "fsync", Env: []string{"BATATA_DURABILITY"},
			Doc: "fsync, or os: acknowledge before the disk has it (unsafe, for comparison only)",
		},
		{
			Name: "limits.connections_per_ip", Kind: Int, Default: "0",
			Doc: "open connections one address may hold, loopback exempt; 0 is no limit",
		},
		{
			Name: "log.level", Kind: Text, Default: "info", Env: []string{"BATATA_LOG_LEVEL", "RUST_LOG"},
			Doc: "debug, info, warn or error",
		},
		{
			Name: "log.format", Kind: Text, Default: "console", Env: []string{"BATATA_LOG_FORMAT"},
			Doc: "console or json",
		},
	}
}

func authKeys() []Key {
	return []Key{
		{
			Name: "nacos.core.auth.enabled", Kind: Bool, Default: "false", Env: []string{"NACOS_AUTH_ENABLE"},
			Plugin: "nacos.auth.enabled",
			Doc:    "client APIs need a login; while false they answer on loopback only",
		},
		{
			Name: "nacos.core.auth.admin.enabled", Kind: Bool, Default: "true", Plugin: "nacos.auth.admin_enabled",
			Doc: "admin APIs need a login",
		},
		{
			Name: "nacos.core.auth.console.enabled", Kind: Bool, Default: "true", Plugin: "nacos.auth.console_enabled",
			Doc: "console APIs need a login",
		},
		{
			Name: "nacos.core.auth.server.identity.key", Kind: Text, Env: []string{"NACOS_AUTH_IDENTITY_KEY"},
			Plugin: "nacos.auth.identity_key",
			Doc:    "header that lets servers of one operator pass; empty never matches",
		},
		{
			Name: "nacos.core.auth.server.identity.value", Kind: Text, Env: []string{"NACOS_AUTH_IDENTITY_VALUE"}, Secret: true,
			Plugin: "nacos.auth.identity_value", Doc: "its value",
		},
		{
			Name: "nacos.core.auth.plugin.nacos.token.secret.key", Kind: Text, Secret: true,
			Aliases: []string{"nacos.plugin.auth.nacos.token.secret.key"}, Env: []string{"NACOS_AUTH_TOKEN"},
			Doc: "base64 of at least 32 bytes that sign tokens; empty: generated once and kept in data_dir",
		},
		{
			Name: "nacos.core.auth.plugin.nacos.token.expire.seconds", Kind: Int, Default: "18000",
			Aliases: []string{"nacos.core.auth.token.expire.seconds", "nacos.plugin.auth.nacos.token.expire.seconds"},
			Env:     []string{"NACOS_AUTH_TOKEN_EXPIRE_SECONDS"},
			Doc:     "life of a token",
		},
		{
			Name: "auth.allow_weak_passwords", Kind: Bool, Default: "false", Env: []string{"BATATA_AUTH_ALLOW_WEAK_PASSWORDS"},
			Doc: "let an administrator have a weak password (unsafe)",
		},
	}
}

func nacosKeys() []Key {
	return []Key{
		{
			Name: "nacos.server.context-path", Kind: Path, Default: "/nacos", Plugin: "nacos.mounts.api.prefixes",
			Aliases: []string{"nacos.server.contextPath", "server.servlet.contextPath", "server.servlet.context-path"},
			Env:     []string{"SERVER_SERVLET_CONTEXTPATH"},
			Doc:     "prefix of all paths on the main port",
		},
		{
			Name: "nacos.config.retention.days", Kind: Int, Default: "30",
			Doc: "how long history is kept",
		},
		{
			Name: "nacos.config.gray.version.max.count", Kind: Int, Default: "10", Plugin: "nacos.config.max_grays",
			Doc: "gray versions one config may have",
		},
		{
			Name: "nacos.config.push.timeout", Kind: Int, Default: "3000", Plugin: "nacos.config.push_timeout_ms",
			Doc: "milliseconds a client has to acknowledge a change",
		},
		{
			Name: "nacos.config.push.maxRetryTime", Kind: Int, Default: "50", Plugin: "nacos.config.push_retries",
			Doc: "unacknowledged pushes after which a connection is dropped",
		},
		{
			Name: "nacos.naming.push.pushTaskDelay", Kind: Int, Default: "0", Plugin: "nacos.naming.push_delay_ms",
			Doc: "milliseconds from a change of a service to its push; 0: none after a quiet time, up to 500 in churn",
		},
		{
			Name: "nacos.naming.push.pushTaskTimeout", Kind: Int, Default: "5000", Plugin: "nacos.naming.push_timeout_ms",
			Doc: "milliseconds a client has to acknowledge a list of instances",
		},
		{
			Name: "nacos.naming.push.pushTaskRetryDelay", Kind: Int, Default: "1000", Plugin: "nacos.naming.push_retry_delay_ms",
			Doc: "milliseconds until a list that was not acknowledged is pushed again",
		},
		{
			Name: "nacos.naming.push.warmUp", Kind: Int, Default: "5000", Plugin: "nacos.naming.warm_up_ms",
			Doc: "milliseconds after the start in which no list is pushed that is shorter than one shown before",
		},
		{
			Name: "nacos.naming.expireInstance", Kind: Bool, Default: "true", Plugin: "nacos.naming.expire_instances",
			Doc: "remove ephemeral HTTP instances that no longer beat; false keeps them, unhealthy",
		},
		{
			Name: "nacos.naming.client.expired.time", Kind: Int, Default: "30000",
			Doc: "milliseconds that instances of a member which is gone are kept, if their service has others",
		},
	}
}

// laterKeys are promised keys whose feature this version lacks. They are known,
// so that a file that states the defaults loads, and refuse anything else.
func laterKeys() []Key {
	off := func(name, why string, env ...string) Key {
		return Key{Name: name, Kind: Text, Default: "false", Only: []string{"false", ""}, Why: why, Env: env}
	}
	const (
		noSQL  = "this version stores everything in data_dir"
		noOtel = "this version exports no traces"
		noMesh = "this version serves no mesh"
	)
	return []Key{
		{
			Name: "nacos.console.port", Kind: Text, Default: "8081", Only: []string{"8081", "0"},
			Why: "this version has no console", Env: []string{"NACOS_CONSOLE_PORT"},
		},
		{Name: "db.url", Kind: Text, Only: []string{""}, Why: noSQL, Env: []string{"NACOS_DB_URL"}, Secret: true},
		off("nacos.otel.enabled", noOtel, "OTEL_ENABLED"),
		off("xds.enabled", noMesh),
	}
}
