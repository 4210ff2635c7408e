package index

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
)

// PhraseError says what is wrong with a search phrase, and where. It unwraps to a
// [sluice.Error] with the code Invalid.
type PhraseError struct {
	Column   int    // counted from 1, in characters
	Message  string // what is wrong
	Expected string // what could stand there
}

// Error names the column.
func (e *PhraseError) Error() string {
	return fmt.Sprintf("search phrase, column %d: %s", e.Column, e.Message)
}

// Unwrap returns the error as surfaces show it.
func (e *PhraseError) Unwrap() error {
	return sluice.Errorf(sluice.Invalid, "%s", e.Error()).WithHint("expected %s", e.Expected)
}

// wrong returns the error at a byte of the phrase.
func wrong(phrase string, at int, message, expected string, args ...any) error {
	return &PhraseError{
		Column:   utf8.RuneCountInString(phrase[:min(at, len(phrase))]) + 1,
		Message:  message,
		Expected: fmt.Sprintf(expected, args...),
	}
}

// quoted shows a piece of the phrase, the front of a long one.
func quoted(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n++; n > most {
			s = s[:i] + "..."
			break
		}
	}
	return fmt.Sprintf("%q", s)
}

// suggest names the qualifiers that could have been meant by name, or all. The
// first of all is that of words without one.
func suggest(all []qualifier, name string) string {
	const most = 3
	var near []string
	for distance := range 3 {
		for i := range all {
			if len(near) < most && all[i].distance(name) == distance {
				near = append(near, all[i].name()+":")
			}
		}
	}
	if len(near) > 0 {
		return strings.Join(near, " or ") + ", or quotes around words"
	}
	for i := range all[1:] {
		near = append(near, all[i+1].name()+":")
	}
	return "one of " + strings.Join(near, " ") + ", or quotes around words"
}

// edits returns how many letters have to be put in, left out or replaced to make
// b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
