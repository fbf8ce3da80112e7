package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied time.Time // zero: not yet
}

// Open opens the directory at a place: a URL of Postgres, else the path of an SQLite file.
func Open(ctx context.Context, place string, log *slog.Logger) (*Store, error) {
	if inPostgres(place) {
		return OpenPostgres(ctx, place, log)
	}
	return OpenSQLite(ctx, place)
}

func inPostgres(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// MigrateUp brings the schema at a place up to date, as Open does, and tells what it did.
func MigrateUp(ctx context.Context, place string) (done []Migration, err error) {
	db, dialect, err := openToMigrate(place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrate(ctx, dialect, db)
}

// Migrations tells what the schema at a place has and lacks. It makes nothing but the table in which goose keeps that.
func Migrations(ctx context.Context, place string) (all []Migration, err error) {
	db, dialect, err := openToMigrate(place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(dialect, db)
	if err != nil {
		return nil, err
	}
	steps, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	for _, s := range steps {
		all = append(all, Migration{Version: s.Source.Version, Name: stepName(s.Source), Applied: s.AppliedAt})
	}
	return all, nil
}

// openToMigrate opens a place without bounds on statements: a migration may take what it takes.
func openToMigrate(place string) (*sql.DB, goose.Dialect, error) {
	if inPostgres(place) {
		db, err := dial(place, 2, 0, nil)
		return db, goose.DialectPostgres, err
	}
	if err := makeFile(place); err != nil {
		return nil, "", err
	}
	db, err := openToWrite(place)
	return db, goose.DialectSQLite3, err
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB) ([]Migration, error) {
	p, err := provider(dialect, db)
	if err != nil {
		return nil, err
	}
	steps, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	done := make([]Migration, len(steps))
	for i, s := range steps {
		done[i] = Migration{Version: s.Source.Version, Name: stepName(s.Source), Applied: time.Now()}
	}
	return done, nil
}

func provider(dialect goose.Dialect, db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(backfillMembers)}
	if dialect == goose.DialectPostgres { // cores that start at once take turns
		turns, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600)) // seconds, tries
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(turns))
	}
	return goose.NewProvider(dialect, db, files, options...)
}

// stepName is a file's; a step that is Go has none.
func stepName(s *goose.Source) string {
	if s.Path == "" {
		return fmt.Sprintf("%05d (Go)", s.Version)
	}
	return filepath.Base(s.Path)
}
