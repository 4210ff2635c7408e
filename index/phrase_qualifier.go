package index

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
)

// qualifier is what may stand before a colon.
type qualifier struct {
	names []string // the first is how it is shown; "" stands for words without one
	also  []string // names that people try, which error messages lead away from
	words bool     // the value is searched word by word
	field Field    // of the value's term, unless read is there
	read  func(l lexer, p part) (Clause, error)
}

// qualifiers is the table of all that is understood. The names are GitHub's, but
// for type, namespace, id, target, source, entity and entity_type.
func qualifiers() []qualifier {
	return []qualifier{
		{names: []string{""}, words: true},
		{names: []string{"action"}, also: []string{"event", "category", "event_name"}, read: readAction},
		{names: []string{"type"}, also: []string{"event_type"}, field: FieldType},
		{names: []string{"actor"}, also: []string{"author", "author_name", "by", "who"}, read: readLogin(FieldActor)},
		{names: []string{"user"}, also: []string{"member", "username"}, read: readLogin(FieldUser)},
		{names: []string{"operation"}, also: []string{"operation_type"}, field: FieldOperation},
		{names: []string{"repo", "repository"}, also: []string{"project"}, read: readRepo},
		{names: []string{"created", "created_at"}, also: []string{"date", "time", "since", "until", "before", "after", "@timestamp"}, read: readCreated},
		{names: []string{"country", "country_code"}, also: []string{"location", "actor_location"}, read: readCountry()},
		{names: []string{"ip", "actor_ip"}, also: []string{"address", "ip_address"}, read: readIP},
		{names: []string{"hashed_token"}, also: []string{"token"}, field: FieldToken},
		{names: []string{"namespace"}, also: []string{"entity_path", "group", "path", "scope"}, read: readNamespace},
		{names: []string{"org"}, also: []string{"organization", "organisation"}, field: FieldOrg},
		{names: []string{"business"}, also: []string{"enterprise"}, field: FieldBusiness},
		{names: []string{"id"}, also: []string{"_document_id", "event_id"}, read: readID},
		{names: []string{"target"}, also: []string{"target_details", "target_type", "target_id"}, field: FieldTarget},
		{names: []string{"source"}, also: []string{"producer"}, field: FieldSource},
		{names: []string{"from"}, words: true},
		{names: []string{"note"}, also: []string{"message", "custom_message", "text"}, words: true},
		{names: []string{"actor_id"}, also: []string{"author_id"}, field: FieldActorID},
		{names: []string{"user_id"}, field: FieldUserID},
		{names: []string{"org_id"}, field: FieldOrgID},
		{names: []string{"repo_id"}, also: []string{"repository_id", "project_id"}, field: FieldRepoID},
		{names: []string{"business_id"}, also: []string{"enterprise_id"}, field: FieldBusinessID},
		{names: []string{"oauth_app_id"}, also: []string{"oauth_application_id"}, field: FieldApp},
		{names: []string{"entity"}, also: []string{"entity_id"}, field: FieldEntity},
		{names: []string{"entity_type"}, also: []string{"kind"}, field: FieldKind},
	}
}

// Qualifiers lists what may stand before a colon in a phrase, the first name of
// each.
func Qualifiers() []string {
	var out []string
	for _, q := range qualifiers() {
		if q.name() != "" {
			out = append(out, q.name())
		}
	}
	return out
}

func (q *qualifier) name() string { return q.names[0] }

// clause returns what a value asks for. Signs that mean something elsewhere would
// find nothing without a word of why: they need quotes.
func (q *qualifier) clause(l lexer, p part) (Clause, error) {
	first := p.value[0]
	switch {
	case q.name() != "created" && !p.quoted && (first == '<' || first == '>'):
		return Clause{}, l.wrong(p.valueAt, p.key+": cannot be compared", "a value; only created: takes < and >")
	case q.read != nil:
		return q.read(l, p)
	}
	return termClause(q.field, p.value), nil
}

// distance tells how far a name is from the qualifier's, more than 2 when it is
// not near.
func (q *qualifier) distance(name string) int {
	const far = 9
	if slices.Contains(q.also, name) {
		return 0
	}
	least := far
	for _, n := range q.names {
		if d := edits(name, n); d <= 1+len(name)/6 && n != "" {
			least = min(least, d)
		}
		if len(name) > 1 && strings.HasPrefix(n, name) {
			least = min(least, 1)
		}
	}
	return least
}

func termClause(field Field, values ...string) Clause {
	c := Clause{}
	for _, v := range values {
		c.Terms = append(c.Terms, NewTerm(field, v))
	}
	return c
}

// readLogin refuses what stands for oneself at GitHub: a phrase
// finds the same for everybody who may see it.
func readLogin(field Field) func(lexer, part) (Clause, error) {
	return func(l lexer, p part) (Clause, error) {
		if p.value == "@me" && !p.quoted {
			return Clause{}, l.wrong(p.valueAt, "@me stands for nobody here", "a name")
		}
		return termClause(field, p.value), nil
	}
}

// readAction reads a type or a category: what has a dot is no category.
func readAction(_ lexer, p part) (Clause, error) {
	c := termClause(FieldType, p.value)
	if !strings.Contains(p.value, ".") {
		c.Terms = append(c.Terms, NewTerm(FieldCategory, p.value))
	}
	return c, nil
}

func readRepo(l lexer, p part) (Clause, error) {
	owner, name, ok := strings.Cut(p.value, "/")
	if !ok || owner == "" || name == "" {
		return Clause{}, l.wrong(p.valueAt, "the repository "+quoted(p.value)+" has no owner", "owner/name")
	}
	return termClause(FieldRepo, p.value), nil
}

func readNamespace(l lexer, p part) (Clause, error) {
	if err := sluice.CheckNamespace(p.value); err != nil {
		return Clause{}, l.wrong(p.valueAt, err.Error(), "a path like acme or acme/platform")
	}
	return termClause(FieldNamespace, p.value), nil
}

// readCountry asks for the code, and for the name in events that have that instead.
func readCountry() func(lexer, part) (Clause, error) {
	var known map[string]country
	return func(l lexer, p part) (Clause, error) {
		if known == nil {
			known = countriesByName()
		}
		c, ok := known[foldCountry(p.value)]
		switch {
		case ok:
			return termClause(FieldCountry, c.code, c.name), nil
		case isCountryCode(p.value):
			return termClause(FieldCountry, p.value), nil
		}
		return Clause{}, l.wrong(p.valueAt, "there is no country "+quoted(p.value), `a code of two letters, or a name like Mexico or "United States"`)
	}
}

// readIP asks for the address as it is written and in its usual spellings: events
// keep theirs.
func readIP(l lexer, p part) (Clause, error) {
	ip, err := netip.ParseAddr(p.value)
	if err != nil {
		return Clause{}, l.wrong(p.valueAt, quoted(p.value)+" is not an address", "one IPv4 or IPv6 address; ranges cannot be searched for")
	}
	return termClause(FieldIP, p.value, ip.String(), ip.Unmap().String()), nil
}

func readID(l lexer, p part) (Clause, error) {
	if len(p.value) > sluice.MaxEventID {
		return Clause{}, l.wrong(p.valueAt, "the id is too long", "at most %d bytes", sluice.MaxEventID)
	}
	return Clause{IDs: []string{p.value}}, nil
}
