package destination

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxWords is how much of a destination's own words is kept, in bytes.
const MaxWords = 512

const (
	minSecret   = 4        // shorter values would blot out ordinary words
	maxUncut    = 16 * 512 // bytes of redacted text that MaxWords are taken from
	replacement = "***"
)

// Redactor takes secrets out of what a far side says: receivers like to repeat
// the request that they refuse. The nil Redactor knows no secrets. It may be
// used by several goroutines at once.
type Redactor struct {
	secrets  []string
	once     sync.Once // makes replacer when it is needed first: most never are
	replacer *strings.Replacer
}

// NewRedactor returns a Redactor of the secrets, in the spellings in which
// answers repeat them: as they are, in JSON, Go, HTML and URL escapes, and in
// Base64. Values of fewer than four bytes are left alone.
func NewRedactor(secrets ...string) *Redactor {
	return &Redactor{secrets: slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })}
}

// replacements returns pairs for a replacer: the spellings in which a far side may
// repeat secrets, and what stands for them.
func replacements(secrets []string) []string {
	var spellings []string
	for _, s := range secrets {
		quoted, _ := json.Marshal(s) // a string always has a JSON form
		spellings = append(spellings, s, string(quoted[1:len(quoted)-1]), html.EscapeString(s),
			url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
		q := strconv.Quote(s)
		spellings = append(spellings, q[1:len(q)-1])
	}
	// Of two secrets that begin alike, the longer one must win.
	slices.SortFunc(spellings, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(spellings))
	for _, s := range slices.Compact(spellings) {
		pairs = append(pairs, s, replacement)
	}
	return pairs
}

// Text returns s without secrets.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	r.once.Do(func() { r.replacer = strings.NewReplacer(replacements(r.secrets)...) })
	return r.replacer.Replace(s)
}

// Words returns a far side's words fit to be shown and stored: without secrets
// and control characters, each run of white space one space, at most
// [MaxWords] bytes.
func (r *Redactor) Words(words []byte) string {
	s := cut(r.Text(string(words)), maxUncut)
	var b strings.Builder
	space := false
	for _, c := range s {
		if c == utf8.RuneError {
			c = '?'
		}
		if unicode.IsSpace(c) || !unicode.IsPrint(c) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(c)
	}
	// Once more: a secret that was broken by line ends is whole again now.
	return cut(r.Text(b.String()), MaxWords)
}

// cut returns at most n bytes of s that end with a whole character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
