package starling

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitectureNamesFilesThatExist looks up every Go file that ARCHITECTURE.md and README.md name.
func TestArchitectureNamesFilesThatExist(t *testing.T) {
	files := map[string]bool{} // paths and every end of them
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return err
		}
		for parts := strings.Split(filepath.ToSlash(path), "/"); len(parts) > 0; parts = parts[1:] {
			files[strings.Join(parts, "/")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`([a-z_/]+\\.go)`")
	for _, doc := range []string{"ARCHITECTURE.md", "README.md"} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			if !files[m[1]] {
				t.Errorf("%s names %s, and there is no such file", doc, m[1])
			}
		}
	}
}
