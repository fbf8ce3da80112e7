package sqlstore_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/core/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, place string) core.Directory { return openAt(t, place) }

func openAt(t testing.TB, place string) core.Directory {
	s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(place, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirectory(t *testing.T) { storetest.Directory(t, open) }

func TestKill(t *testing.T) { storetest.KillDirectory(t, open) }
