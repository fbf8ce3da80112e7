// Package config turns the keys of a role into values: default, then the YAML file, then STARLING_<ROLE>_<KEY>, then the flag, the later
// winning. A key is registered once and is all of these. Nothing fails on the first mistake: Values collects them, each with its key and
// the place it came from, and Err gives all at once. It knows no role and opens nothing but the file.
package config
