package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// Action is what happens to a thing.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "change"
	Delete Action = "delete"
)

// Types of things.
const (
	TypeUser    = "user"
	TypeMember  = "member"
	TypeNotices = "notices"
	TypeToken   = "token"
	TypeStream  = "stream"
	// TypeNamespace is that of notes about what a namespace has.
	TypeNamespace = "namespace"
)

// Thing is what a change, or a note, is about.
type Thing struct {
	Type      string `json:"type"`
	Namespace string `json:"namespace"` // "" is the instance
	Name      string `json:"name"`
	ID        string `json:"id,omitempty"` // of one that exists
}

// String names the thing for people, escaped as [Escaped] does.
func (t Thing) String() string {
	t.Name = Escaped(t.Name)
	within := Escaped(t.Namespace)
	if within == sluice.Instance {
		within = "the instance"
	}
	switch {
	case t.Type == TypeNamespace:
		return within
	case t.Type == TypeUser:
		return "user " + t.Name
	case t.Type == TypeNotices:
		return "notices of " + within
	case t.Name == "":
		return fmt.Sprintf("%s %s of %s", t.Type, t.ID, within)
	}
	return fmt.Sprintf("%s %s of %s", t.Type, t.Name, within)
}

// Change is one thing that is to be created, changed or deleted.
type Change struct {
	Action Action `json:"action"`
	Thing
	Fields []Field `json:"fields,omitempty"`
	// Secrets are sent with the change, or removed by it.
	Secrets []Secret `json:"secrets,omitempty"`
	// References say where the texts stand that are sent with it and are not in the
	// manifest: what a reader of the plan has to agree to.
	References []Reference `json:"references,omitempty"`
	// Warning says what is lost with it.
	Warning string `json:"warning,omitempty"`

	run   func(ctx context.Context, c *carrier) (remark string, err error)
	check func(ctx context.Context, c *client.Client) (client.CheckResult, error) // of a destination; nil: there is nothing to check
}

// Field is a field that changes. Values that are nobody's business are "(not
// shown)"; nil is none.
type Field struct {
	Name string `json:"name"`
	From any    `json:"from"`
	To   any    `json:"to"`
}

// Secret is a secret that is sent or removed.
type Secret struct {
	Name string `json:"name"`
	// Action is "set" for one that was not there, "sent" for one that replaces
	// what is there if it differs, "removed".
	Action string `json:"action"`
}

// What happens to a secret.
const (
	secretSet     = "set"
	secretSent    = "sent"
	secretRemoved = "removed"
)

// Note is something to know that changes nothing.
type Note struct {
	Thing
	Message string `json:"message"`
}

// Uncompared names secrets that are set, and may differ from what the manifest
// names.
type Uncompared struct {
	Thing
	Secrets []string `json:"secrets"`
}

// Plan is what has to be done, in the order in which it is done.
type Plan struct {
	Changes []Change `json:"changes"`
	// Unmanaged are things beside the manifest, in lists that it manages.
	Unmanaged []Thing `json:"unmanaged"`
	Notes     []Note  `json:"notes"`
	// NotCompared are secrets of streams that exist: they cannot be read back.
	NotCompared []Uncompared `json:"not_compared"`
	// Whole is false when the notes name something else that was not compared,
	// because it is not known or may not be read: such a plan cannot be carried out.
	Whole bool `json:"whole"`

	kept []kept // texts that an earlier, interrupted run may have kept
}

// Deletes reports whether the plan takes something away.
func (p *Plan) Deletes() bool {
	for i := range p.Changes {
		if p.Changes[i].Action == Delete {
			return true
		}
	}
	return false
}

// Planner compares manifests with what a server has.
type Planner struct {
	Client *client.Client
	// Canonical returns the configuration of a stream as a server stores it, or
	// what is wrong with it; known is false for kinds that it does not know. The
	// secrets that are missing are there, too: anything can stand in for them. nil
	// knows no kind.
	Canonical func(kind string, config json.RawMessage, secrets map[string]string, missing []string) (canonical json.RawMessage, known bool, err error)
	// Prune plans to delete what a managed list does not name. Users stay.
	Prune bool
	// SendSecrets plans to send the secrets of streams that exist, too.
	SendSecrets bool
	// Partly plans without the lists that the caller may not read, and notes them;
	// such a plan cannot be carried out.
	Partly bool
	// Now is the clock.
	Now func() time.Time
}

// Plan compares m with what the server has. It changes nothing. What refers to
// texts that are not resolved is not compared. What is wrong with m is returned as [Problems].
func (p *Planner) Plan(ctx context.Context, m *Manifest) (*Plan, error) {
	var have *state
	if err := patiently(ctx, func() (err error) { have, err = p.read(ctx, m); return err }); err != nil {
		return nil, err
	}
	b := &builder{Planner: p, have: have, partial: !m.resolved()}
	for _, n := range m.Namespaces {
		b.hidden(n)
		b.namespace(n)
	}
	if err := b.problems.err(); err != nil {
		b.problems.sort()
		return nil, b.problems
	}
	return b.plan(), nil
}

// Stages of a plan, in their order: people first, so that rights that end, end
// even when something later fails. What is new comes before what changes, so that
// events go twice rather than nowhere when one stream takes over from another.
// Streams are deleted last.
const (
	stageUsers = iota
	stageOwners
	stageMembers
	stageMembersGone
	stageNotices
	stageTokens
	stageTokensGone
	stageStreamsNew
	stageStreams
	stageStreamsGone
	stages
)

// builder makes a plan.
type builder struct {
	*Planner
	have      *state
	problems  Problems
	changes   [stages][]Change
	unmanaged []Thing
	notes     []Note
	left      []Uncompared
	kept      []kept
	partial   bool
}

func (b *builder) add(stage int, c Change) { b.changes[stage] = append(b.changes[stage], c) }

func (b *builder) note(t Thing, format string, args ...any) {
	b.notes = append(b.notes, Note{t, fmt.Sprintf(format, args...)})
}

// extra plans for a thing that the manifest does not name.
func (b *builder) extra(stage int, c Change) {
	if !b.Prune {
		b.unmanaged = append(b.unmanaged, c.Thing)
		return
	}
	b.add(stage, c)
}

func (b *builder) plan() *Plan {
	p := &Plan{
		Changes: []Change{}, Unmanaged: append([]Thing{}, b.unmanaged...), Notes: append([]Note{}, b.notes...),
		NotCompared: append([]Uncompared{}, b.left...), kept: b.kept, Whole: !b.partial,
	}
	for _, list := range b.changes {
		p.Changes = append(p.Changes, list...)
	}
	return p
}

// hidden notes what the caller may not read of a namespace.
func (b *builder) hidden(n *Namespace) {
	for _, list := range b.have.scopes[n].hidden {
		b.note(Thing{Type: TypeNamespace, Namespace: n.Path}, "this token may not read its %s: they were not compared", list)
		b.partial = true
	}
}

func (b *builder) namespace(n *Namespace) {
	shown := func(list string, managed bool) bool {
		return managed && !slices.Contains(b.have.scopes[n].hidden, list)
	}
	if shown("users", n.Users.Managed) {
		b.users(n)
	}
	if shown("members", n.Members.Managed) {
		b.members(n)
	}
	if shown("notices", n.Notices.Managed) {
		b.notices(n)
	}
	if shown("tokens", n.Tokens.Managed) {
		b.tokens(n)
	}
	if shown("streams", n.Streams.Managed) {
		b.streams(n)
	}
}
