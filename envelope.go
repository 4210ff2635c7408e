package sluice

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unsafe"
)

// field is a top-level member that the envelope is read from.
type field uint8

const (
	noField field = iota
	fieldID
	fieldDocumentID
	fieldCreatedAt
	fieldTimestamp
	fieldEventType
	fieldAction
	fieldAuthorName
	fieldActor
	fieldEntityType
	fieldEntityPath
	fieldBusiness
	fieldOrg
	fieldRepo
	fieldCount
)

// fieldOf is the table of what the envelope is read from, in both vocabularies.
// Where both columns have a value, the left one wins.
//
//	           GitLab                       GitHub
//	id         id: string or number         _document_id; "" is absent
//	           neither: one is made and put in front
//	time       created_at: RFC 3339         created_at, else @timestamp: ms since 1970
//	           either form under either name; neither: zero
//	type       event_type                   action
//	actor      author_name                  actor, or its first element
//	namespace  entity_path                  business/repo, when repo is owner/name;
//	                                        business/org/repo; business/org; business;
//	                                        of arrays the first element; without
//	                                        business the producer's top-level namespace
//	           empty for entity_type User and Gitlab::Audit::InstanceScope and
//	           for entity_path gitlab_instance
//	kind       entity_type                  Project with a repo, else Group
//	class      git for the types git.* and repository_git_operation, else audit
func fieldOf(name []byte) field {
	switch string(name) {
	case "id":
		return fieldID
	case "_document_id":
		return fieldDocumentID
	case "created_at":
		return fieldCreatedAt
	case "@timestamp":
		return fieldTimestamp
	case "event_type":
		return fieldEventType
	case "action":
		return fieldAction
	case "author_name":
		return fieldAuthorName
	case "actor":
		return fieldActor
	case "entity_type":
		return fieldEntityType
	case "entity_path":
		return fieldEntityPath
	case "business":
		return fieldBusiness
	case "org":
		return fieldOrg
	case "repo":
		return fieldRepo
	}
	return noField
}

// Kinds of entities that the envelope knows by name.
const (
	KindProject  = "Project"
	KindGroup    = "Group"
	KindUser     = "User"
	KindInstance = "Gitlab::Audit::InstanceScope"
)

// pathInstance is the entity_path of the installation's own events.
const pathInstance = "gitlab_instance"

// ClassOf returns the class of an event by its type.
func ClassOf(eventType string) Class {
	if strings.HasPrefix(eventType, "git.") || eventType == "repository_git_operation" {
		return Git
	}
	return Audit
}

// ClassOfBytes is [ClassOf] for an [Envelope]'s Type; it does not allocate.
func ClassOfBytes(eventType []byte) Class { return ClassOf(view(eventType)) }

// envelope reads env from the completed event; it stops at the first reason to
// refuse it.
func (p *pass) envelope(env *Envelope) {
	if p.refused == nil {
		p.readID(env)
	}
	if p.refused == nil {
		p.readTime(env)
	}
	if p.refused == nil {
		p.readType(env)
	}
	if p.refused == nil {
		p.readNamespace(env)
	}
	env.Actor = p.readActor()
}

func (p *pass) readID(env *Envelope) {
	f := fieldID
	if !p.present(f) {
		f = fieldDocumentID
	}
	id, offset := p.raw(f), int(p.fields[f].start)
	switch {
	case p.empty(f):
		p.refuse(CodeBadID, f, "the event's id is empty", "leave `id` out to have one made, or send a unique one")
		return
	case id[0] == '"':
		id, offset = id[1:len(id)-1], offset+1
	case id[0] != '-' && !isDigit(id[0]):
		p.refuse(CodeBadID, f, "the event's id is neither a string nor a number", "send the id as a string or a number")
		return
	}
	if len(id) > MaxEventID {
		p.refuse(CodeBadID, f, "the event's id is longer than 255 bytes", "send a shorter id")
		return
	}
	env.ID, env.IDOffset = slices.Clip(id), offset
}

func (p *pass) readTime(env *Envelope) {
	f := fieldCreatedAt
	if p.null(f) {
		f = fieldTimestamp
	}
	if p.null(f) {
		return
	}
	raw, ok := p.raw(f), false
	if raw[0] == '"' {
		env.Time, ok = parseTime(p.text(raw))
	} else {
		env.Time, ok = parseMillis(raw)
	}
	if !ok {
		p.refuse(CodeBadTime, f, "the event's time is unreadable",
			"send created_at as in 2022-02-23T06:21:05.283Z, or as whole milliseconds since 1970, within the years 1 to 9999")
	}
}

func (p *pass) readType(env *Envelope) {
	f := fieldEventType
	if p.empty(f) {
		f = fieldAction
	}
	if p.empty(f) {
		p.refuse(CodeMissingType, noField, "the event has no type", "send the type of event as `event_type` or `action`")
		return
	}
	raw := p.raw(f)
	if raw[0] != '"' {
		p.refuse(CodeBadType, f, "the event's type is not a string", "send `event_type` or `action` as a string")
		return
	}
	env.Type = p.text(raw)
	if len(env.Type) > MaxEventType {
		p.refuse(CodeBadType, f, "the event's type is longer than 255 bytes", "send a shorter type")
		return
	}
	if hasControl(env.Type) {
		p.refuse(CodeBadType, f, "the event's type holds a control character", "send a type of printable characters")
		return
	}
	env.Class = ClassOfBytes(env.Type)
}

// readActor returns the actor, empty when the event names none; what is not a
// name is no reason to refuse an event.
func (p *pass) readActor() []byte {
	for _, f := range [...]field{fieldAuthorName, fieldActor} {
		if raw := p.firstElement(p.raw(f)); len(raw) > 2 && raw[0] == '"' {
			return p.text(raw)
		}
	}
	return nil
}

// present reports whether the event has f, with whatever value.
func (p *pass) present(f field) bool { return p.fields[f].end > 0 }

// raw returns f's value as the event spells it, nothing when it is absent.
func (p *pass) raw(f field) []byte {
	return p.out[p.base:][p.fields[f].start:p.fields[f].end]
}

// null reports whether f is absent or null.
func (p *pass) null(f field) bool {
	raw := p.raw(f)
	return len(raw) == 0 || raw[0] == 'n'
}

// empty reports whether f is absent, null or an empty string.
func (p *pass) empty(f field) bool {
	return p.null(f) || string(p.raw(f)) == `""`
}

// firstElement returns the first element of raw when raw is an array that begins
// with a string, nothing when it is empty or begins with null, and any other
// value as it is.
func (p *pass) firstElement(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '[' {
		return raw
	}
	if raw[1] == ']' || raw[1] == 'n' {
		return nil
	}
	if raw[1] != '"' {
		return raw
	}
	end := 2
	for ; raw[end] != '"'; end++ {
		if raw[end] == '\\' {
			end++
		}
	}
	return raw[1 : end+1]
}

// text returns what a JSON string stands for, in place when it holds no escapes.
func (p *pass) text(raw []byte) []byte {
	inside := raw[1 : len(raw)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return slices.Clip(inside)
	}
	return p.s.keep(AppendUnescaped(p.s.room(len(inside)), inside))
}

// arenaSize is how much memory for decoded and joined text is taken at once.
const arenaSize = 4 << 10

// room returns an empty slice to which n bytes can be appended in the arena.
func (s *Scanner) room(n int) []byte {
	if cap(s.arena)-len(s.arena) < n {
		s.arena = make([]byte, 0, max(n, arenaSize))
	}
	return s.arena[len(s.arena):]
}

// keep makes what was appended to [Scanner.room] permanent.
func (s *Scanner) keep(b []byte) []byte {
	s.arena = s.arena[:len(s.arena)+len(b)]
	return slices.Clip(b)
}

// refuse notes why the event is not accepted. The offset is that of f's value,
// or of the event when f is absent.
func (p *pass) refuse(code string, f field, message, hint string) {
	offset := p.start
	if p.present(f) {
		offset = int(p.fields[f].src)
	}
	p.refused = &EventError{Code: code, Message: message, Hint: hint, Offset: offset}
}

// hasControl reports whether b, valid UTF-8, holds a control character.
func hasControl(b []byte) bool {
	rest := b
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		if ((x-' '*lowBits)|(x+lowBits)|x)&highBits != 0 { // not all within ' ' to '~'
			break
		}
		rest = rest[8:]
	}
	for i, c := range rest {
		if c < ' ' || c >= 0x7f {
			return bytes.ContainsFunc(rest[i:], unicode.IsControl)
		}
	}
	return false
}

// view is b as a string that is valid as long as b does not change.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
