package config

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/easynet-cn/batata/core/configstore"
	"github.com/easynet-cn/batata/core/registry"
)

// Extra is what Nacos keeps beside a config and core has no word for. It is
// stored as the plugin's own part of the head.
type Extra struct {
	Use    string `json:"use,omitempty"`
	Effect string `json:"effect,omitempty"`
	Schema string `json:"schema,omitempty"`
}

// ExtraOf reads the Extra of a head; owner is the name of the plugin.
func ExtraOf(h *configstore.Head, owner string) (x Extra) {
	for _, e := range h.Ext {
		if e.Owner == owner && len(e.Data) > 0 {
			// What cannot be read was written by a newer release: show none of it.
			if json.Unmarshal(e.Data, &x) != nil {
				return Extra{}
			}
		}
	}
	return x
}

// ext renders the Extra of a publication; never nil, since a publish overwrites.
func (p *Publish) ext() []byte {
	x := Extra{Use: p.Use, Effect: p.Effect, Schema: p.Schema}
	if x == (Extra{}) {
		return []byte{}
	}
	b, err := json.Marshal(x)
	if err != nil {
		return []byte{} // cannot be: three texts
	}
	return b
}

// meta is what the history keeps with the version (NAD-SEM-13).
func (p *Publish) meta() configstore.Pairs {
	if p.Tags == nil && p.Desc == "" && p.Effect == "" && p.Schema == "" && p.Use == "" && p.SrcUser == "" {
		return nil // as most are
	}
	all := configstore.Pairs{
		{Key: "c_desc", Value: p.Desc},
		{Key: "c_effect", Value: p.Effect},
		{Key: "c_schema", Value: p.Schema},
		{Key: "c_use", Value: p.Use},
		{Key: "config_tags", Value: ""},
		{Key: "src_user", Value: p.SrcUser},
	}
	if p.Tags != nil {
		all[4].Value = strings.Join(splitTags(*p.Tags), ",")
	}
	return slices.DeleteFunc(all, func(e registry.Pair) bool { return e.Value == "" })
}
