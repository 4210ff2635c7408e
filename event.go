package sluice

import "time"

// Class says which kind of record an event is; it decides partition and
// retention.
type Class string

const (
	Audit Class = "audit"
	Git   Class = "git"
)

// Classes lists every class, in the order in which partitions are shown.
func Classes() []Class { return []Class{Audit, Git} }

// SourceSluice is the source of the events that Sluice writes about itself.
const SourceSluice = "sluice"

// Envelope is what Sluice reads from an event, once, when it comes in. It alone
// decides authorisation, routing, filter and search scope.
//
// The slices of an Envelope that a [Scanner] made lie in the buffer that it
// appended to, or in memory that is never used again: they stay valid as long as
// that buffer's bytes stay unchanged. Nobody may write to them.
type Envelope struct {
	// ID is the event's id as it stands in the payload, without quotes.
	// A number keeps its digits. IDOffset is where it starts in the payload.
	ID       []byte
	IDOffset int
	// Time is when the event happened, zero when the payload does not say.
	Time time.Time
	// Type is `event_type` or `action`.
	Type []byte
	// Namespace is the path the event belongs to as the payload spells it,
	// empty for events of users and of the installation, which belong to the
	// instance alone.
	Namespace []byte
	// Kind is `entity_type`, or what the namespace's fields imply:
	// "Project", "Group", "User", "Gitlab::Audit::InstanceScope".
	Kind []byte
	// Actor is `author_name` or `actor`.
	Actor []byte
	Class Class
}
