package mesh

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

var (
	buildMu   sync.Mutex
	buildDir  string
	buildDone = map[bool]string{} // by race
)

// Build compiles the binary, once per process and kind, into a folder of its own that Clean removes.
func Build(race bool) (string, error) {
	buildMu.Lock()
	defer buildMu.Unlock()
	if bin := buildDone[race]; bin != "" {
		return bin, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	if buildDir == "" {
		if buildDir, err = os.MkdirTemp("", "starling-bin-"); err != nil {
			return "", err
		}
	}
	bin := filepath.Join(buildDir, "starling")
	args := []string{"build", "-o", bin, "./cmd/starling"}
	if race {
		bin += "-race"
		args = []string{"build", "-race", "-o", bin, "./cmd/starling"}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/starling: %w\n%s", err, out)
	}
	buildDone[race] = bin
	return bin, nil
}

// Clean removes what Build made.
func Clean() {
	buildMu.Lock()
	defer buildMu.Unlock()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	buildDir = ""
	clear(buildDone)
}

// Root is the folder of the module's go.mod, looked for upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}
