package bucket

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-chat/starling/proto"
)

// text checks a name or topic and gives it trimmed: least to most characters, no control characters (Postgres stores no zero byte, and a
// store must not be able to refuse what the log has taken).
func text(field, s string, least, most int) (string, error) {
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < least || n > most {
		return "", proto.InvalidForm(field, "BASE_TYPE_BAD_LENGTH", fmt.Sprintf("Must be between %d and %d in length.", least, most))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return "", proto.InvalidForm(field, "BASE_TYPE_BAD", "Must not contain control characters.")
	}
	return s, nil
}

// number checks a range.
func number(field string, n, least, most int) error {
	if n < least || n > most {
		return proto.InvalidForm(field, "NUMBER_TYPE_RANGE", fmt.Sprintf("int value should be between %d and %d.", least, most))
	}
	return nil
}
