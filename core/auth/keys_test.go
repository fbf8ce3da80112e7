package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := OpenKeys(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files, %v, want a key and the secret", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", e.Name(), info.Mode().Perm(), err)
		}
	}
	open := filepath.Join(dir, entries[0].Name())
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a key that others may read: got %v, want refusal", err)
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "1"+keySuffix)
	if err := os.WriteFile(name, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir); err == nil {
		t.Error("a damaged key is passed over: every token would be refused without a word")
	}
}
