package index_test

import (
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/sluicelog/sluice/index"
)

// FuzzParsePhrase: nothing panics, errors point into the phrase, and what was
// understood is understood in the same way when it is written out.
func FuzzParsePhrase(f *testing.F) {
	for _, phrase := range []string{
		`action:team -action:billing actor:octocat actor:"a \"b\"" created:>=2024-01-31 created:<2020-01-01T10:20:30.123+02:00`,
		`push OR pull -"force push" NOT x AND repo:a/b AND repo:c\/d id:7 -id:8`,
		`country:"United States" ip:2001:db8:0::1 hashed_token:"q+/=" namespace:acme/x note:y created:2024-01-01..*`,
		`actor:a OR`, `created:2024-02-01..2024-01-01`, "\"", `a\`, "--", "İ:ſ", "created:9999-12-31T23:59:59.999-00:00",
	} {
		f.Add(phrase)
	}
	f.Fuzz(func(t *testing.T, phrase string) {
		clauses, err := index.ParsePhrase(phrase)
		if err != nil {
			checkPhraseError(t, phrase, err)
			return
		}
		text := index.FormatPhrase(clauses)
		again, err := index.ParsePhrase(text)
		if err != nil && (longTerm(clauses) || len(text) > index.MaxPhraseBytes) {
			return
		}
		if err != nil || !reflect.DeepEqual(again, clauses) || index.FormatPhrase(again) != text {
			t.Errorf("got %+v, error %v, from %q; want %+v", again, err, text, clauses)
		}
	})
}

func checkPhraseError(t *testing.T, phrase string, err error) {
	t.Helper()
	e, ok := errors.AsType[*index.PhraseError](err)
	if !ok || e.Column < 1 || e.Column > utf8.RuneCountInString(phrase)+1 || e.Message == "" || e.Expected == "" {
		t.Errorf("got %#v, want an error that points into %q", err, phrase)
	}
}

// longTerm reports whether a value may have been cut, and with it what its
// qualifier asks of values.
func longTerm(clauses []index.Clause) bool {
	for _, c := range clauses {
		for _, term := range c.Terms {
			if len(term.Value) > index.MaxTermBytes-utf8.UTFMax {
				return true
			}
		}
	}
	return false
}
