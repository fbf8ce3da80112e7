package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// writeReadme puts a proof's lines into README.md as a table, between the two marks that name the proof.
func writeReadme(proof string, lines []string) error {
	root, err := mesh.Root()
	if err != nil {
		return err
	}
	path := filepath.Join(root, "README.md")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := figures(string(b), proof, time.Now().UTC().Format(time.DateOnly), lines)
	if err != nil {
		return fmt.Errorf("README.md: %w", err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// figures replaces what is between a proof's marks.
func figures(text, proof, day string, lines []string) (string, error) {
	begin, end := fmt.Sprintf("<!-- measured: filled from `make proof-%s` -->\n", proof), fmt.Sprintf("<!-- end of `make proof-%s` -->\n", proof)
	head, rest, found := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("no %sand %s", begin, end)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\nOf %s, on two cores that the clients share:\n\n| claim | asked | measured | |\n| --- | --- | --- | --- |\n", day)
	for _, l := range lines {
		fmt.Fprintf(&table, "| %s |\n", l)
	}
	table.WriteByte('\n')
	return head + begin + table.String() + end + tail, nil
}
