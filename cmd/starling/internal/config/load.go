package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Load merges the sources of k's keys. path names the YAML file, "" for none; all are the keys of every role, which may have sections in
// the same file. Flags must have been parsed. Mistakes of the file are in the Values' Err, so that they show together with wrong values.
func Load(k *Keys, all []*Keys, path string, getenv func(string) string) *Values {
	v := &Values{keys: k, from: map[string]string{}, k: koanf.New(".")}
	defaults := map[string]any{}
	for _, key := range k.list {
		defaults[key.Name] = key.Default
	}
	v.load(confmap.Provider(defaults, "."), nil)
	if path != "" {
		v.loadFile(path, all)
	}
	v.loadEnv(getenv)
	k.fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			v.from[f.Name] = "--" + f.Name
		}
	})
	v.load(posflag.ProviderWithFlag(k.fs, ".", nil, func(f *pflag.Flag) (string, any) { return f.Name, f.Value.String() }), nil)
	return v
}

func (v *Values) loadFile(path string, all []*Keys) {
	doc := koanf.New(".")
	if err := doc.Load(file.Provider(path), yaml.Parser()); err != nil {
		v.mistake("config: %s: %w", path, err)
		return
	}
	roles := make([]string, 0, len(all))
	for _, k := range all {
		roles = append(roles, k.role)
	}
	names := doc.Keys()
	slices.Sort(names)
	for _, full := range names {
		section, name, _ := strings.Cut(full, ".")
		i := slices.Index(roles, section)
		switch {
		case i < 0:
			v.mistake("%s: %s: there is no such section; sections are %s", path, full, strings.Join(roles, ", "))
		case name == "":
			if doc.Get(full) != nil { // an empty section is no mistake
				v.mistake("%s: %s: want a section of keys", path, full)
			}
		case !all[i].has(name):
			v.mistake("%s: %s: there is no such key", path, full)
		case section == v.keys.role:
			v.from[name] = fmt.Sprintf("%s: %s", path, full)
			if list, ok := doc.Get(full).([]any); ok {
				v.set(name, join(list))
			} else {
				v.set(name, doc.String(full))
			}
		}
	}
}

func (v *Values) loadEnv(getenv func(string) string) {
	prefix := envPrefix(v.keys.role)
	names := map[string]string{}
	for _, key := range v.keys.list {
		names[v.keys.env(key.Name)] = key.Name
	}
	v.load(env.Provider(".", env.Opt{
		Prefix: prefix,
		EnvironFunc: func() []string {
			var set []string
			for name := range names {
				if value := getenv(name); value != "" {
					set = append(set, name+"="+value)
				}
			}
			return set
		},
		TransformFunc: func(name, value string) (string, any) {
			v.from[names[name]] = name
			return names[name], value
		},
	}), nil)
}

func (v *Values) set(name, value string) {
	if err := v.k.Set(name, value); err != nil {
		v.mistake("%s: %w", name, err)
	}
}

func (v *Values) load(p koanf.Provider, pa koanf.Parser) {
	if err := v.k.Load(p, pa); err != nil {
		v.mistake("config: %w", err)
	}
}

func join(list []any) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = fmt.Sprint(e)
	}
	return strings.Join(parts, ",")
}
