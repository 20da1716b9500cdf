// Package conf turns the operator's files, environment and flags into one set
// of validated values.
//
// There is one spelling per key, the one of the table in keys.go; every other
// spelling that operators know is an alias of it, translated here and nowhere
// else. Sources, later ones win: defaults, application.properties,
// application.yml, environment, flags. An unknown key is an error with the
// nearest known one in the YAML file and in flags, and a warning in the
// properties file, which may be a stock file of another server. Environment
// variables are looked up by registered name only (PRD-03, NAD-KEY rows).
//
// Sections below plugins.<name> are not interpreted here: the host decodes them
// strictly into the plugin's own struct.
//
// The package owns no goroutine. Start reading at Load.
package conf
