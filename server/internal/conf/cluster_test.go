package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// NAD-CLU-01: where the members are listed, by what the operator has set.
func TestClustered(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "cluster.conf")
	if err := os.WriteFile(list, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	here, gone := "cluster.member.file="+list, "cluster.member.file="+list+"x"
	tests := map[string]struct {
		flags  []string
		lookup string // empty: alone
		err    string
	}{
		"default":                   {nil, "", ""},
		"alone, whatever is listed": {[]string{"nacos.standalone=true", "nacos.member.list=a", here}, "", ""},
		"file by name":              {[]string{"nacos.standalone=false", "cluster.member.lookup.type=file", gone}, LookupFile, ""},
		"address server":            {[]string{"nacos.standalone=false", "nacos.core.member.lookup.type=address-server", "nacos.member.list=a"}, LookupAddressServer, ""},
		"inline":                    {[]string{"nacos.standalone=false", "nacos.member.list=a,b", here}, LookupInline, ""},
		"file that is there":        {[]string{"nacos.standalone=false", here}, LookupFile, ""},
		"nothing":                   {[]string{"nacos.standalone=false", gone}, "", "no members are listed"},
		"contradiction":             {[]string{"nacos.standalone=false", "cluster.member.lookup.type=standalone"}, "", "set one of them otherwise"},
		"unknown":                   {[]string{"nacos.standalone=false", "cluster.member.lookup.type=dns"}, "", `got "dns"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Load(Source{Dir: dir, Flags: tt.flags})
			if err != nil {
				t.Fatalf("Load() = %v", err)
			}
			lookup, ok, err := v.Clustered()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Clustered() = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || ok != (tt.lookup != "") || ok && lookup != tt.lookup {
				t.Errorf("Clustered() = %q, %v, %v, want %q", lookup, ok, err, tt.lookup)
			}
		})
	}
}

// NAD-KEY-52: the secret is wanted, and the error says so.
func TestClusterSecret(t *testing.T) {
	dir := t.TempDir()
	good := strings.Repeat("k", 32)
	file := filepath.Join(dir, "s")
	if err := os.WriteFile(file, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		flags []string
		env   map[string]string
		err   string
	}{
		"key":      {flags: []string{"cluster.secret=" + good}},
		"variable": {env: map[string]string{"BATATA_CLUSTER_SECRET": good}},
		"file":     {env: map[string]string{"BATATA_CLUSTER_SECRET_FILE": file}},
		"none":     {err: "set cluster.secret"},
		"short":    {flags: []string{"cluster.secret=short"}, err: "want at least 32 bytes, got 5"},
		"no file":  {flags: []string{"cluster.secret_file=" + file + "x"}, err: "cluster.secret_file: open"},
		"both":     {flags: []string{"cluster.secret=" + good, "cluster.secret_file=" + file}, err: "both set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := Load(Source{Dir: dir, Flags: tt.flags, Env: func(n string) (string, bool) { s, ok := tt.env[n]; return s, ok }})
			if err != nil {
				t.Fatalf("Load() = %v", err)
			}
			secret, err := v.ClusterSecret()
			if tt.err == "" {
				if err != nil || string(secret) != good {
					t.Errorf("ClusterSecret() = %q, %v, want %q", secret, err, good)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), good) {
				t.Errorf("ClusterSecret() = %v, want %q and not the secret in it", err, tt.err)
			}
		})
	}
}
