package index

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// sortClauses puts clauses and what is in them in order, without doubles.
func sortClauses(clauses []Clause) []Clause {
	for i := range clauses {
		c := &clauses[i]
		slices.SortFunc(c.Terms, compareTerms)
		c.Terms = slices.Compact(c.Terms)
		slices.Sort(c.IDs)
		c.IDs = slices.Compact(c.IDs)
	}
	slices.SortFunc(clauses, func(a, b Clause) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(clauses, func(a, b Clause) bool { return a.String() == b.String() })
}

func compareTerms(a, b Term) int {
	if a.Field != b.Field {
		return int(a.Field) - int(b.Field)
	}
	return strings.Compare(a.Value, b.Value)
}

// FormatPhrase returns clauses as a phrase: two lists of ParsePhrase give the same
// text only when they ask the same. [ParsePhrase] reads it back to equal clauses,
// if it made them and no value was cut at MaxTermBytes.
func FormatPhrase(clauses []Clause) string {
	texts := make([]string, len(clauses))
	for i := range clauses {
		texts[i] = clauses[i].String()
	}
	return strings.Join(texts, " AND ")
}

// String returns the clause as a phrase; see [FormatPhrase].
func (c Clause) String() string {
	dash := ""
	if c.Not {
		dash = "-"
	}
	if words := c.words(); c.All && words != nil {
		return dash + `"` + strings.Join(words, " ") + `"`
	}
	atoms, sameKey := c.atoms()
	for i := range atoms {
		atoms[i] = dash + atoms[i]
	}
	switch {
	case c.All:
		return strings.Join(atoms, " ALL ")
	case !c.Not && (!sameKey || c.words() != nil):
		return strings.Join(atoms, " OR ")
	}
	return strings.Join(atoms, " ")
}

// words returns the words of a clause of nothing else.
func (c *Clause) words() []string {
	var words []string
	for _, t := range c.Terms {
		if t.Field != FieldWord || len(c.IDs)+len(c.Ranges) > 0 {
			return nil
		}
		words = append(words, t.Value)
	}
	return words
}

// atoms returns what the clause is made of, each as it stands in a phrase, and
// whether all of them have one qualifier.
func (c *Clause) atoms() (atoms []string, sameKey bool) {
	keys := map[string]bool{}
	add := func(key, text string) {
		keys[key] = true
		atoms = append(atoms, text)
	}
	for _, t := range c.Terms {
		switch key := c.key(t); {
		case t.Field == FieldWord:
			add("", t.Value)
		case key != "":
			add(key, key+":"+quoteValue(t.Value))
		}
	}
	for _, id := range c.IDs {
		add("id", "id:"+quoteValue(id))
	}
	for _, r := range c.Ranges {
		add("created", "created:"+r.String())
	}
	return atoms, len(keys) <= 1
}

// key returns the qualifier that a term of the clause stands behind, "" for one
// that another term speaks for: action: asks for a type and a category.
func (c *Clause) key(t Term) string {
	has := func(field Field) bool { return slices.Contains(c.Terms, Term{field, t.Value}) }
	action := slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field == FieldCategory })
	switch {
	case t.Field == FieldCategory && has(FieldType), t.Field == FieldCountry && len(t.Value) > countryCodeLen && c.hasCountryCode():
		return ""
	case t.Field == FieldType && action && (has(FieldCategory) || strings.Contains(t.Value, ".")):
		return "action"
	}
	return fieldName(t.Field)
}

const countryCodeLen = len("us")

func (c *Clause) hasCountryCode() bool {
	return slices.ContainsFunc(c.Terms, func(t Term) bool { return t.Field == FieldCountry && len(t.Value) == countryCodeLen })
}

// fieldName returns the qualifier of a field.
func fieldName(field Field) string {
	names := [...]string{
		FieldType: "type", FieldCategory: "category", FieldActor: "actor", FieldUser: "user",
		FieldNamespace: "namespace", FieldRepo: "repo", FieldOrg: "org", FieldBusiness: "business",
		FieldOperation: "operation", FieldCountry: "country", FieldIP: "ip", FieldToken: "hashed_token",
		FieldTarget: "target", FieldSource: "source", FieldKind: "entity_type", FieldWord: "",
		FieldActorID: "actor_id", FieldUserID: "user_id", FieldOrgID: "org_id", FieldRepoID: "repo_id",
		FieldBusinessID: "business_id", FieldApp: "oauth_app_id", FieldEntity: "entity",
	}
	if int(field) < len(names) {
		return names[field]
	}
	return ""
}

// quoteValue puts a value in quotes unless it means the same without.
func quoteValue(v string) string {
	plain := v != "" && v != "@me" && v[0] != '<' && v[0] != '>' && !strings.ContainsFunc(v, func(r rune) bool {
		return r == '"' || r == '\\' || r == '*' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if plain {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// String returns the range as it stands behind created: in a phrase.
func (r Range) String() string {
	from, last := "*", "*"
	if !r.From.IsZero() {
		from = formatFrom(r.From.UTC())
	}
	if !r.To.IsZero() {
		last = formatLast(r.To.UTC())
	}
	switch {
	case from == last && from != "*":
		return from
	case last == "*" && r.From.Year() > lastYear: // behind the last day that can be named
		return ">" + formatLast(r.From.UTC())
	case last == "*" && from != "*":
		return ">=" + from
	case from == "*" && last != "*" && r.To.UTC().Add(-1).Year() < firstYear:
		return "<" + formatFrom(r.To.UTC())
	case from == "*" && last != "*":
		return "<=" + last
	}
	return from + ".." + last
}

const (
	dayLayout    = "2006-01-02"
	secondLayout = "2006-01-02T15:04:05Z"
	milliLayout  = "2006-01-02T15:04:05.000Z"
	nanoLayout   = "2006-01-02T15:04:05.000000000Z"
)

// formatFrom returns the coarsest day or time that begins at t.
func formatFrom(t time.Time) string {
	_, layout := unitOf(t)
	return t.Format(layout)
}

// formatLast returns the coarsest day or time that ends at t.
func formatLast(t time.Time) string {
	unit, layout := unitOf(t)
	return t.Add(-unit).Format(layout)
}

func unitOf(t time.Time) (time.Duration, string) {
	switch {
	case t.Truncate(24 * time.Hour).Equal(t):
		return 24 * time.Hour, dayLayout
	case t.Truncate(time.Second).Equal(t):
		return time.Second, secondLayout
	case t.Truncate(time.Millisecond).Equal(t):
		return time.Millisecond, milliLayout
	}
	return time.Nanosecond, nanoLayout
}

// String returns what the query asks for, the same for queries that ask the same.
// Accepted is not in it: it moves with time. It is for digests and records, not
// for people to type.
func (q *Query) String() string {
	scope := "nothing"
	terms, all := q.Scope.Terms()
	if all {
		scope = "everything"
	}
	for i, t := range terms {
		if i == 0 {
			scope = strconv.Quote(t.Value)
			continue
		}
		scope += " or " + strconv.Quote(t.Value)
	}
	return "in " + scope + ": " + FormatPhrase(q.Clauses)
}
