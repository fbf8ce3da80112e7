package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/core/auth"
)

// hasher is the command line of a process that computes password hashes. main alone sets it: elsewhere this executable is a test's.
var hasher []string

func hasherCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:    "hasher",
		Hidden: true,
		Short:  "Compute password hashes for a core",
		Long: `hasher is started by cores: it reads work from its standard input, a line of JSON each, answers likewise, and ends with its input. It gives
way to whatever else wants the processor, so that logins by the thousand do not delay messages.`,
		Example: `  starling hasher < /dev/null`,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return auth.ServeHashes(os.Stdin, os.Stdout) },
	}
}
