// Package manifest is configuration as code. A [Manifest] says, in YAML, which
// streams, tokens, members, users and notices there ought to be. [Read] reads it,
// [Planner.Plan] compares it with what a server has, and [Plan.Carry] makes the
// difference good through the native API.
//
// Three rules make a plan worth reading. A list that a document does not have is
// not managed, and what a managed list does not name is told and stays, unless
// pruning was asked for. Of a stream the file is the whole truth: a field that is
// left out has its default; but "active", secrets and "start" that are left out
// stay as they are. And what cannot be read back, secrets, is never compared: the
// plan says so.
package manifest

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
)

// Manifest is what all files together say.
type Manifest struct {
	// Namespaces are in the order in which the files name them first.
	Namespaces []*Namespace
}

// Namespace is what is wanted of a top-level namespace, or of the instance.
type Namespace struct {
	At      Place
	Path    string // "" is the instance
	Streams Section[*Stream]
	Tokens  Section[*Token]
	Members Section[*Member]
	Users   Section[*User] // of the instance only
	Notices Section[*Address]
}

// Section is a list of a document.
type Section[T any] struct {
	// Managed says that a document has the list, if only an empty one.
	Managed bool
	Items   []T
}

// Stream is a stream that is wanted.
type Stream struct {
	At   Place
	Name string // its key in the namespace
	Kind string
	// Config holds texts, numbers, true and false, lists and objects as the file
	// has them; a text that stands elsewhere is a *Text.
	Config map[string]any
	// Secrets are by name; nil means that there must be none.
	Secrets map[string]*Text
	Filter  sluice.Filter
	Start   string    // "now", "earliest", a time, "" when left out
	Until   time.Time // zero is never
	Strict  bool
	Active  *bool // nil is not managed

	places map[string]Place // of fields, by path within the stream
}

// at returns the place of a field, or of the nearest thing around it.
func (s *Stream) at(path string) Place {
	for path != "" {
		if p, ok := s.places[path]; ok {
			return p
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return s.At
}

// Token is a producers' token that is wanted.
type Token struct {
	At        Place
	Name      string // its key in the namespace
	RateLimit int
	Text      *Text // nil has one made
}

// Member is a role that is wanted.
type Member struct {
	At   Place
	User string // name or id
	Role string
}

// User is a user that is wanted.
type User struct {
	At            Place
	Name          string
	Administrator bool
	Disabled      bool
	Password      *Text // for a new one; nil has one made
}

// Address is where notices are wanted.
type Address struct {
	At      Place
	Kind    string
	Address *Text
}

// Place is where something stands in a file.
type Place struct {
	File         string
	Line, Column int // from 1; 0 when only the file is known
}

// String returns the place as editors and compilers write it.
func (p Place) String() string {
	if p.Line == 0 {
		return Escaped(p.File)
	}
	return fmt.Sprintf("%s:%d:%d", Escaped(p.File), p.Line, p.Column)
}

// Problem is something that is wrong with a manifest.
type Problem struct {
	At      Place
	Message string // what is wrong, and what was expected
}

// Problems are all that was found, at most [MaxProblems].
type Problems []Problem

// MaxProblems bounds how many problems are told at once.
const MaxProblems = 20

// Error tells one problem a line, escaped as [Escaped] does.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = fmt.Sprintf("%s: %s", p[i].At, Escaped(p[i].Message))
	}
	return strings.Join(lines, "\n")
}

// add tells a problem, unless there are enough.
func (p *Problems) add(at Place, format string, args ...any) {
	if len(*p) < MaxProblems {
		*p = append(*p, Problem{At: at, Message: fmt.Sprintf(format, args...)})
	}
}

// err returns the problems as an error, nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
