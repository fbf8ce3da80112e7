package cql

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
)

// Each constant that is a statement with values is listed: one that is not would be prepared when it is first used.
func TestStatements(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			constants, ok := d.(*ast.GenDecl)
			if !ok || constants.Tok != token.CONST {
				continue
			}
			for n := range ast.Preorder(constants) {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					continue
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				switch verb, _, _ := strings.Cut(text, " "); verb {
				case "SELECT", "INSERT", "UPDATE", "DELETE":
					found++
					if !slices.Contains(statements, text) {
						t.Errorf("not in statements: %s", text)
					}
				}
			}
		}
	}
	if found != len(statements) {
		t.Errorf("%d constants, %d statements", found, len(statements))
	}
}

// The cluster freezes before anything was asked of it, and then many ask the same. With -race this fails where they share an error.
func TestFrozenBeforeItIsAsked(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: starts a Cassandra of its own")
	}
	server := servers.Start(t, "cassandra")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Open(ctx, Config{Hosts: []string{server.Address}, Keyspace: "test_frozen", Replication: 1, Timeout: time.Second,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pid := server.PID(t)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.Pins(ctx, 1<<22); err == nil {
				t.Error("a frozen cluster answered")
			}
		})
	}
	wg.Wait()
}
