package index

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a phrase.
const (
	MaxPhraseBytes = 4 << 10
	MaxPhraseTerms = 100 // words and values; those of id: are not among them
	MaxPhraseIDs   = 100
)

// ParsePhrase reads a search phrase in GitHub's syntax, extended as docs/search.md
// tells. An empty phrase has no clauses: everything meets it.
//
// Parts are met all of them, but values of one qualifier, of which one is enough;
// AND between parts begins anew. The clauses come in a fixed order without
// doubles: phrases that differ in order, spelling or spaces alone give the same.
//
// The error is a [*PhraseError].
func ParsePhrase(phrase string) ([]Clause, error) {
	if err := checkPhrase(phrase); err != nil {
		return nil, err
	}
	p := parser{lexer: lexer{phrase: phrase}, qualifiers: qualifiers(), group: map[groupKey]int{}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return sortClauses(p.clauses), nil
}

func checkPhrase(phrase string) error {
	if len(phrase) > MaxPhraseBytes {
		end := MaxPhraseBytes
		for !utf8.RuneStart(phrase[end]) && end > MaxPhraseBytes-utf8.UTFMax {
			end--
		}
		return wrong(phrase, end, "the phrase is too long", "at most %d bytes", MaxPhraseBytes)
	}
	for i, r := range phrase {
		if _, size := utf8.DecodeRuneInString(phrase[i:]); r == utf8.RuneError && size == 1 {
			return wrong(phrase, i, "the phrase is not UTF-8", "text in UTF-8")
		}
	}
	return nil
}

// parser makes clauses of parts.
type parser struct {
	lexer
	qualifiers []qualifier
	clauses    []Clause
	group      map[groupKey]int // clauses that take further values, since the last AND
	terms, ids int
}

// groupKey is what values need in common to stand in one clause. Words that are
// asked for have no group: each is a clause.
type groupKey struct {
	name string // the qualifier's first name, "" for words
	not  bool
}

// joined is a part with the clause that it went into; -1 for words that went into
// several, or that are excluded.
type joined struct {
	part   part
	name   string
	clause int
}

func (p *parser) parse() error {
	var last *joined // what an OR would join
	for {
		part, ok, err := p.next()
		if err != nil || !ok {
			return err
		}
		or := false
		switch op := part.operator(); op {
		case "AND", "OR":
			if last == nil {
				return p.wrong(part.at, op+" stands between nothing", "something to search for on both sides of %s, or quotes around the word", op)
			}
			if or = op == "OR"; !or {
				clear(p.group)
			}
			if part, err = p.operand(op); err != nil {
				return err
			}
		}
		if part, err = p.negate(part); err != nil {
			return err
		}
		if last, err = p.add(part, last, or); err != nil {
			return err
		}
	}
}

// operand reads the part behind an operator.
func (p *parser) operand(op string) (part, error) {
	next, ok, err := p.next()
	if err != nil {
		return next, err
	}
	if other := next.operator(); !ok || other == "AND" || other == "OR" {
		return next, p.wrong(next.at, "nothing stands behind "+op, "something to search for on both sides of %s, or quotes around the word", op)
	}
	return next, nil
}

// negate reads what a NOT excludes.
func (p *parser) negate(not part) (part, error) {
	if not.operator() != "NOT" {
		return not, nil
	}
	next, err := p.operand("NOT")
	if err == nil && (next.not || next.operator() != "") {
		err = p.wrong(next.at, "excluded twice", "NOT or a dash, once")
	}
	next.not = true
	return next, err
}

// add takes a part into its clause.
func (p *parser) add(part part, last *joined, or bool) (*joined, error) {
	q, err := p.qualifier(part)
	if err != nil {
		return nil, err
	}
	if or && (last.part.not || part.not || last.name != q.name()) {
		return nil, p.wrong(part.at, "OR joins different things", "values of one qualifier, as in actor:a OR actor:b, or words, on both sides of OR")
	}
	if p.terms++; q.name() == "id" {
		p.terms, p.ids = p.terms-1, p.ids+1
	}
	j := &joined{part: part, name: q.name()}
	if q.words {
		return j, p.addWords(j, last, or)
	}
	found, err := q.clause(p.lexer, part)
	if err != nil {
		return nil, err
	}
	j.clause = p.clauseOf(groupKey{q.name(), part.not})
	c := &p.clauses[j.clause]
	c.Terms = append(c.Terms, found.Terms...)
	c.IDs = append(c.IDs, found.IDs...)
	c.Ranges = mergeRanges(append(c.Ranges, found.Ranges...))
	if slices.Contains(c.Ranges, Range{}) {
		return nil, p.wrong(part.valueAt, "together with the other created: this is all of time", "created:FIRST..LAST, or AND between the two")
	}
	return j, p.checkLimits(part)
}

// clauseOf returns the clause that values of a qualifier go into.
func (p *parser) clauseOf(key groupKey) int {
	i, ok := p.group[key]
	if !ok {
		i = len(p.clauses)
		p.clauses = append(p.clauses, Clause{Not: key.not})
		p.group[key] = i
	}
	return i
}

// addWords takes the words of a part: each is needed, or joined to the word
// before by OR. An event is excluded by one word, or by all that stand in quotes.
func (p *parser) addWords(j, last *joined, or bool) error {
	words := termsOf(j.part.value)
	if len(words) == 0 {
		return p.wrong(j.part.valueAt, "there is no word in "+quoted(j.part.value), "a word with letters or digits")
	}
	p.terms += len(words) - 1
	single := len(words) == 1
	switch {
	case or && (!single || last.clause < 0):
		return p.wrong(j.part.at, "OR joins several words", "a single word on both sides of OR")
	case or:
		j.clause = last.clause
		p.clauses[j.clause].Terms = append(p.clauses[j.clause].Terms, words...)
	case j.part.not && single:
		j.clause = p.clauseOf(groupKey{not: true})
		p.clauses[j.clause].Terms = append(p.clauses[j.clause].Terms, words...)
	case j.part.not:
		j.clause = -1
		p.clauses = append(p.clauses, Clause{Not: true, All: true, Terms: words})
	default:
		for _, w := range words {
			p.clauses = append(p.clauses, Clause{Terms: []Term{w}})
		}
		if j.clause = len(p.clauses) - 1; !single {
			j.clause = -1
		}
	}
	return p.checkLimits(j.part)
}

func termsOf(text string) []Term {
	var terms []Term
	for word, rest := NextWord(text); word != ""; word, rest = NextWord(rest) {
		if t := NewTerm(FieldWord, word); !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	return terms
}

func (p *parser) checkLimits(part part) error {
	if p.terms > MaxPhraseTerms {
		return p.wrong(part.at, "too many things to search for", "at most %d words and values", MaxPhraseTerms)
	}
	if p.ids > MaxPhraseIDs {
		return p.wrong(part.at, "too many ids", "at most %d ids", MaxPhraseIDs)
	}
	return nil
}

// qualifier returns what the part's name stands for.
func (p *parser) qualifier(part part) (*qualifier, error) {
	name := strings.ToLower(part.key)
	for i := range p.qualifiers {
		if q := &p.qualifiers[i]; slices.Contains(q.names, name) {
			if part.value == "" {
				return nil, p.emptyValue(part)
			}
			return q, nil
		}
	}
	return nil, p.wrong(part.keyAt, "there is no qualifier "+quoted(part.key), "%s", suggest(p.qualifiers, name))
}

func (p *parser) emptyValue(part part) error {
	if part.key == "" {
		return p.wrong(part.valueAt, "the quotes are empty", "words between them")
	}
	return p.wrong(part.valueAt, "there is no value in "+quoted(part.key+":"), "a value right behind the colon")
}
