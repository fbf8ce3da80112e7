package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// maxPrepared statements are kept; a store has some thirty, and a few that differ by what is asked for.
const maxPrepared = 256

// prepared is a pool of connections that parses a query once on each: SQLite takes longer to read most of ours than to answer them. (pgx does the
// same for Postgres.) Any goroutine may call it.
type prepared struct {
	*sql.DB

	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

func newPrepared(db *sql.DB) *prepared { return &prepared{DB: db, stmts: map[string]*sql.Stmt{}} }

// QueryContext implements querier.
func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := p.stmt(ctx, query); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return p.DB.QueryContext(ctx, query, args...)
}

// QueryRowContext implements querier.
func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.stmt(ctx, query); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.DB.QueryRowContext(ctx, query, args...)
}

// stmt is nil where there are too many already, or the query is none: then whoever runs it hears why.
func (p *prepared) stmt(ctx context.Context, query string) *sql.Stmt {
	p.mu.Lock()
	s, n := p.stmts[query], len(p.stmts)
	p.mu.Unlock()
	if s != nil || n >= maxPrepared {
		return s
	}
	s, err := p.DB.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.stmts[query]; first != nil { // somebody else was quicker
		s.Close()
		return first
	}
	p.stmts[query] = s
	return s
}

// Close closes the statements with their connections.
func (p *prepared) Close() error {
	p.mu.Lock()
	for _, s := range p.stmts {
		s.Close()
	}
	clear(p.stmts)
	p.mu.Unlock()
	return p.DB.Close()
}
