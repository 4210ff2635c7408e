package manifest

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escaped returns s fit for a line on a terminal: whatever is not printable (a
// line break, what steers terminals, what turns the direction of text, what is not
// UTF-8) is written as Go writes it in quotes. Names and messages of files and
// servers can hold anything, and a plan that can be forged is worth nothing.
func Escaped(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// isLine reports whether a text is one that the server takes for a name: UTF-8
// without control characters.
func isLine(s string) bool { return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0 }
