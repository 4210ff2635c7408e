package index

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// part is a qualifier with its value, a word, or words in quotes. Positions are
// bytes of the phrase.
type part struct {
	at      int // where it begins, dash included
	not     bool
	key     string // the qualifier as it is written, "" for words
	keyAt   int
	value   string // without quotes and escapes
	valueAt int    // where the value begins, behind its quote
	quoted  bool
	escaped bool // positions in value are not those in the phrase
	star    int  // where an asterisk stands that is neither quoted nor escaped, or -1
}

// operator returns AND, OR or NOT when the part is one.
func (p *part) operator() string {
	if p.key == "" && !p.not && !p.quoted && !p.escaped && (p.value == "AND" || p.value == "OR" || p.value == "NOT") {
		return p.value
	}
	return ""
}

// position returns where a byte of the value stands in the phrase.
func (p *part) position(offset int) int {
	if p.escaped {
		return p.valueAt
	}
	return p.valueAt + offset
}

// lexer cuts a phrase into parts.
type lexer struct {
	phrase string
	pos    int
}

// next returns the next part; ok is false at the end, where at of the part is the
// phrase's length.
func (l *lexer) next() (p part, ok bool, err error) {
	l.pos += len(l.rest()) - len(strings.TrimLeftFunc(l.rest(), unicode.IsSpace))
	p = part{at: l.pos, star: -1}
	if l.rest() == "" {
		return p, false, nil
	}
	if p.not = l.take('-'); p.not {
		if r, _ := utf8.DecodeRuneInString(l.rest()); l.rest() == "" || unicode.IsSpace(r) || r == '-' {
			return p, false, l.wrong(l.pos, "the dash excludes nothing", "a qualifier or a word right behind one dash, or quotes around it")
		}
	}
	p.keyAt, p.valueAt = l.pos, l.pos
	if l.take('"') {
		return p, true, l.quotes(&p)
	}
	return p, true, l.bare(&p)
}

func (l *lexer) rest() string { return l.phrase[l.pos:] }

func (l *lexer) take(c byte) bool {
	if l.pos < len(l.phrase) && l.phrase[l.pos] == c {
		l.pos++
		return true
	}
	return false
}

// bare reads what is not in quotes: a word, or a qualifier with its value. A
// backslash makes any character behind it one like others.
func (l *lexer) bare(p *part) error {
	var b strings.Builder
	inKey := true
	for l.pos < len(l.phrase) {
		at := l.pos
		r, size := utf8.DecodeRuneInString(l.rest())
		if unicode.IsSpace(r) {
			break
		}
		l.pos += size
		switch {
		case r == ':' && inKey:
			if b.Len() == 0 {
				return l.wrong(at, "nothing stands before the colon", "a qualifier before it, or quotes around words")
			}
			p.key, p.valueAt, p.escaped, p.star, inKey = b.String(), l.pos, false, -1, false
			b.Reset()
			if l.take('"') {
				return l.quotes(p)
			}
			continue
		case r == '"':
			return l.wrong(at, "a quote stands in the middle", `quotes around all of it, or \" for the character`)
		case r == '*' && p.star < 0:
			p.star = at
		}
		if r == '\\' {
			var err error
			if r, err = l.escape(p, at); err != nil {
				return err
			}
		}
		b.WriteRune(r)
	}
	p.value = b.String()
	return l.checkStar(p)
}

// checkStar refuses patterns, which would find nothing without a word of why.
func (l *lexer) checkStar(p *part) error {
	if p.star >= 0 && !isCreated(p.key) {
		return l.wrong(p.star, "there are no patterns", `all of the word or value (action:team is all of a category), or \* for the character`)
	}
	return nil
}

// quotes reads up to the closing quote.
func (l *lexer) quotes(p *part) error {
	open := l.pos - 1
	p.quoted, p.valueAt = true, l.pos
	var b strings.Builder
	for l.pos < len(l.phrase) {
		at := l.pos
		r, size := utf8.DecodeRuneInString(l.rest())
		l.pos += size
		switch r {
		case '"':
			p.value = b.String()
			return l.checkEnd()
		case '\\':
			var err error
			if r, err = l.escape(p, at); err != nil {
				return err
			}
		}
		b.WriteRune(r)
	}
	return l.wrong(open, "the quote is not closed", `another quote behind the words, or \" for the character`)
}

// escape returns the character behind a backslash.
func (l *lexer) escape(p *part, at int) (rune, error) {
	if l.rest() == "" {
		return 0, l.wrong(at, "nothing stands behind the backslash", `a character, or \\ for a backslash`)
	}
	r, size := utf8.DecodeRuneInString(l.rest())
	l.pos += size
	p.escaped = true
	return r, nil
}

func (l *lexer) checkEnd() error {
	if r, _ := utf8.DecodeRuneInString(l.rest()); l.rest() != "" && !unicode.IsSpace(r) {
		return l.wrong(l.pos, "something stands right behind the quote", `a space, or \" for a quote inside quotes`)
	}
	return nil
}

func (l *lexer) wrong(at int, message, expected string, args ...any) error {
	return wrong(l.phrase, at, message, expected, args...)
}
