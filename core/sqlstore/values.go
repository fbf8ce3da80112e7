package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// rowsAtOnce is how many rows one statement writes: few enough for the bounds of both databases on parameters, and enough that a trip to
// the server is not what counts.
const rowsAtOnce = 500

// Values are rows that are written by few statements.
type values struct {
	width int
	args  []any
}

func newValues(width int) *values { return &values{width: width} }

func (v *values) add(row ...any) { v.args = append(v.args, row...) }

// exec runs before + the rows + after, some rows at a time.
func (v *values) exec(ctx context.Context, tx *sql.Tx, before, after string) error {
	for args := v.args; len(args) > 0; {
		n := min(len(args), rowsAtOnce*v.width)
		if _, err := tx.ExecContext(ctx, before+placeholders(n/v.width, v.width)+after, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// placeholders are "($1,$2),($3,$4)" for 2 rows of width 2.
func placeholders(rows, width int) string {
	var b strings.Builder
	for n := range rows * width {
		switch {
		case n == 0:
			b.WriteByte('(')
		case n%width == 0:
			b.WriteString("),(")
		default:
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n + 1))
	}
	b.WriteByte(')')
	return b.String()
}
