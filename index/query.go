// Package index is the port of the search index: a projection of the log that
// finds events by what they say.
//
// An index holds no events. It holds, for chunks of the log, which events have
// which terms, when they happened and where they are; the events themselves are
// read from the log. It can be deleted and made again at any time.
package index

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
)

// Field says what a term is about.
type Field uint8

// The fields of terms. Their numbers are stored: they never change.
const (
	FieldType       Field = 1  // the event's type: "repo.create"
	FieldCategory   Field = 2  // what stands before the type's dot: "repo"
	FieldActor      Field = 3  // who did it: author_name or actor
	FieldUser       Field = 4  // to whom: user
	FieldNamespace  Field = 5  // the event's namespace, and each one above it
	FieldRepo       Field = 6  // owner/name as the event spells it
	FieldOrg        Field = 7  //
	FieldBusiness   Field = 8  //
	FieldOperation  Field = 9  // operation_type
	FieldCountry    Field = 10 // actor_location.country_code, upper case in events
	FieldIP         Field = 11 // ip_address or actor_ip
	FieldToken      Field = 12 // hashed_token; compared with case
	FieldTarget     Field = 13 // target_details, target_type, target_id
	FieldSource     Field = 14 // who posted it: a producer token's id, or "sluice"
	FieldKind       Field = 15 // entity kind: "Project", "Group", ...
	FieldWord       Field = 16 // a word of message-like fields
	FieldActorID    Field = 17 // actor_id or author_id
	FieldUserID     Field = 18 // user_id
	FieldOrgID      Field = 19 // org_id
	FieldRepoID     Field = 20 // repo_id
	FieldBusinessID Field = 21 // business_id
	FieldApp        Field = 22 // oauth_application_id, oauth_app_id
	FieldEntity     Field = 23 // entity_type and entity_id, "Project/29"
)

// MaxTermBytes bounds the value of a term. Of a longer one the front is kept and a
// hash of the whole, in events and in queries alike: it is found by all of it.
const MaxTermBytes = 256

// Term is what events are found by. [NewTerm] makes one.
type Term struct {
	Field Field
	Value string // as NewTerm folds it
}

// NewTerm returns the term of a value: without regard to case, but for
// FieldToken, and within MaxTermBytes.
func NewTerm(field Field, value string) Term {
	if field != FieldToken {
		value = sluice.FoldNamespace(value)
	}
	if len(value) > MaxTermBytes {
		sum := sha256.Sum256([]byte(value))
		tail := hex.EncodeToString(sum[:16])
		value = strings.ToValidUTF8(value[:MaxTermBytes-len(tail)], "") + tail
	}
	return Term{Field: field, Value: value}
}

// Clause is met by an event that has one of the terms, or one of the ids, or
// happened in one of the ranges; with Not, by an event of which none holds.
type Clause struct {
	Not    bool
	All    bool // one term is not enough, every one is needed
	Terms  []Term
	IDs    []string // as they stand in payloads, without quotes
	Ranges []Range
}

// Range is a part of time. A zero end is open.
type Range struct {
	From time.Time // the first instant in it
	To   time.Time // the first instant after it
}

// Query says which events are asked for.
type Query struct {
	// Scope is the namespace in which they have to be, and what lies below it;
	// [sluice.Instance] for everything. It is no search term: a mistake in a phrase
	// never leaves it.
	Scope Scope
	// Clauses have to be met, all of them.
	Clauses []Clause
	// Accepted clips what is found by the time of acceptance.
	Accepted Range
}

// Scope is a tenant, a part of one, or several of these. The zero Scope holds
// nothing.
type Scope struct {
	all   bool
	terms []Term // FieldNamespace, sorted
}

// Everything is the scope of the whole installation.
func Everything() Scope { return Scope{all: true} }

// Below is the scope of namespaces with everything below them. Without one, and
// when one of them is the instance, it holds nothing.
func Below(namespaces ...string) Scope {
	var s Scope
	for _, namespace := range namespaces {
		if namespace == sluice.Instance {
			return Scope{}
		}
		s.terms = append(s.terms, NewTerm(FieldNamespace, namespace))
	}
	slices.SortFunc(s.terms, func(a, b Term) int { return strings.Compare(a.Value, b.Value) })
	s.terms = slices.Compact(s.terms)
	return s
}

// Terms returns the terms of which events of the scope have one; with all set
// every event is in scope.
func (s Scope) Terms() (list []Term, all bool) { return s.terms, s.all }
