package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// A Key is one setting of a role: flag --name, line "name:" in the role's section of the file, variable STARLING_<ROLE>_<NAME>.
type Key struct {
	Name    string
	Default string
	Kind    string // placeholder shown by --help: ADDR, DIR, N, DURATION, URL, ...; Bool for a switch
	Usage   string
}

// Bool is the Kind of a key that as a flag needs no value.
const Bool = "bool"

// Keys are the keys of one role, in the order in which --help shows them.
type Keys struct {
	role string
	list []Key
	fs   *pflag.FlagSet
}

// New names the keys of a role.
func New(role string, list ...Key) *Keys {
	k := &Keys{role: role, list: list, fs: pflag.NewFlagSet(role, pflag.ContinueOnError)}
	k.fs.SortFlags = false
	for _, key := range list {
		f := k.fs.VarPF(&text{value: key.Default, kind: key.Kind}, key.Name, "", key.Usage+" ["+k.env(key.Name)+"]")
		if key.Kind == Bool {
			f.NoOptDefVal = "true"
		}
	}
	return k
}

// Role is the name of the section in the file, and of the subcommand.
func (k *Keys) Role() string { return k.role }

// Flags are to be added to the role's command.
func (k *Keys) Flags() *pflag.FlagSet { return k.fs }

func (k *Keys) has(name string) bool { return k.fs.Lookup(name) != nil }

func (k *Keys) env(name string) string {
	return envPrefix(k.role) + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func envPrefix(role string) string { return "STARLING_" + strings.ToUpper(role) + "_" }

// text is a flag that takes whatever is given: values are checked when all sources are merged, so that all mistakes show at once.
type text struct{ value, kind string }

func (t *text) Set(s string) error { t.value = s; return nil }
func (t *text) String() string     { return t.value }
func (t *text) Type() string       { return t.kind }
