package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/starling-chat/starling/loadtest/proof/inside"
)

// membersBound is for the p99 of a page, a search and a filter.
const membersBound = 20 * time.Millisecond

// proveMembers measures reads of one very large guild.
func proveMembers(ctx context.Context, r *report, s sizes) error {
	if s.on("embedded") {
		dir, err := os.MkdirTemp("", "starling-proof-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := membersOn(ctx, r, s, "SQLite", filepath.Join(dir, "directory.db")); err != nil {
			return err
		}
	}
	if !s.on("real") {
		return nil
	}
	r.note("starting Postgres")
	real, err := startServers(ctx, "postgres")
	if err != nil {
		return err
	}
	defer real.stop()
	return membersOn(ctx, r, s, "Postgres", real.postgres)
}

func membersOn(ctx context.Context, r *report, s sizes, store, place string) error {
	r.note("%s: a guild of %d members", store, s.members)
	d, err := inside.OpenDirectory(ctx, place, s.members, func(n int) {
		if n%200_000 == 0 {
			r.note("%d members", n)
		}
	})
	if err != nil {
		return err
	}
	defer d.Close()
	for _, read := range []struct {
		name string
		do   func(ctx context.Context, reads, n int) ([]time.Duration, error)
	}{{"a page of 100", d.Page}, {"the first 100 by the beginning of the name", d.Search}, {"100 of a role", d.Filter}} {
		if _, err := read.do(ctx, s.reads/4+1, 100); err != nil { // warm
			return err
		}
		took, err := read.do(ctx, s.reads, 100)
		if err != nil {
			return err
		}
		r.p99(fmt.Sprintf("%s, guild of %d members: %s", store, s.members, read.name), membersBound, took, "")
	}
	return nil
}
