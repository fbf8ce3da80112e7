package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// maxMarks is how many combining marks one letter may have: enough for every script, too few to paint over other lines.
const maxMarks = 4

// clean makes text that others wrote fit for a terminal, lines kept: control characters become visible pictures of themselves, so that an
// escape sequence is read and not obeyed; marks that turn the direction of writing or pile up without end are dropped.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		if unicode.In(r, unicode.Mn, unicode.Me) && !joins(r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case r == '\n':
			b.WriteByte('\n')
		case r == '\t':
			b.WriteString("    ")
		case r == '\r' && strings.HasPrefix(s, "\n"):
		case r < 0x20:
			b.WriteRune(0x2400 + r) // ␛ and its like
		case r == 0x7f:
			b.WriteRune('␡')
		case r >= 0x80 && r < 0xa0, r == utf8.RuneError:
			b.WriteRune('�') // C1: some terminals obey it like ESC [
		case r == 0x2028, r == 0x2029:
			b.WriteByte('\n')
		case turns(r), r == 0xfeff, r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r < 0xe0020, unicode.Is(unicode.Co, r):
			// invisible, or of meaning to a terminal's owner alone
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// joins tells the marks that make emoji: variation selectors and the keycap.
func joins(r rune) bool { return r >= 0xfe00 && r <= 0xfe0f || r == 0x20e3 }

// turns tells the marks that change the direction of writing: they could dress a line up as another.
func turns(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// cleanLine is clean for names: one line, not empty, at most some 100 cells wide.
func cleanLine(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(clean(s), "\n", " "))
	if ansi.StringWidth(s) == 0 {
		return "?"
	}
	return ansi.Truncate(s, 100, "…")
}

// fit makes s exactly w cells wide: cut, or filled with spaces. s may hold styles.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := ansi.StringWidth(s)
	if n > w {
		s = ansi.Truncate(s, w, "…")
		n = ansi.StringWidth(s)
	}
	return s + strings.Repeat(" ", max(0, w-n))
}

// wrap breaks text at spaces, long words anywhere, into lines of at most w cells.
func wrap(s string, w int) []string {
	if w < 1 {
		w = 1
	}
	return strings.Split(ansi.Wrap(s, w, ""), "\n")
}

// cells is the width of s in the terminal.
func cells(s string) int { return ansi.StringWidth(s) }
