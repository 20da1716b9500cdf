package naming

import (
	"strings"

	"github.com/easynet-cn/batata/core/registry"
)

// The words that stand for what a client leaves out.
const (
	Public         = "public"
	DefaultGroup   = "DEFAULT_GROUP"
	DefaultCluster = "DEFAULT"
)

// Separator stands between group and service in a grouped name.
const Separator = "@@"

// Key maps a client's spelling to the service it names: a blank namespace is
// public, a blank group the default one, and a service that holds a group, as
// "group@@service", is split when no group was given, or the same one.
func Key(namespace, group, service string) registry.ServiceKey {
	if namespace == "" {
		namespace = Public
	}
	if g, s, ok := Split(service); ok && (group == "" || group == g) {
		group, service = g, s
	}
	if group == "" {
		group = DefaultGroup
	}
	return registry.ServiceKey{Namespace: namespace, Group: group, Name: service}
}

// Split takes a grouped name apart at its first separator; false when it has
// none, or nothing on one side.
func Split(grouped string) (group, service string, ok bool) {
	group, service, ok = strings.Cut(grouped, Separator)
	return group, service, ok && group != "" && service != ""
}

// Grouped is the name of a service with its group, as instances and HTTP lists
// carry it.
func Grouped(k registry.ServiceKey) string { return k.Group + Separator + k.Name }

// ClusterOf is a cluster as it is stored.
func ClusterOf(name string) string {
	if name == "" {
		return DefaultCluster
	}
	return name
}

// clustersOf splits a list of clusters; nil for all.
func clustersOf(list string) []string {
	if list == "" {
		return nil
	}
	if !strings.Contains(list, ",") {
		return []string{list}
	}
	var out []string
	for c := range strings.SplitSeq(list, ",") {
		if c != "" {
			out = append(out, c)
		}
	}
	return out
}
