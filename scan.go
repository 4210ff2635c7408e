package sluice

import (
	"fmt"
	"slices"
)

// Limits of an event.
const (
	DefaultMaxEvent = 1 << 20 // bytes, when Scanner.MaxEvent is not set
	MaxEventDepth   = 100     // nested containers, the event itself included
	MaxEventID      = 255     // bytes, as the payload spells it
	MaxEventType    = 255     // bytes, decoded
)

// maxOffset bounds MaxEvent so that offsets fit 32 bits.
const maxOffset = 1<<31 - 1

// Scanner reads events: it validates each in one pass over its bytes (RFC 8259,
// strict UTF-8, no key twice at the top level), removes insignificant white space
// and reads the [Envelope]. Numbers are never converted, strings never re-encoded.
//
// The zero Scanner is ready for use by a producer that is bound to no namespace
// and gives every event an id. A Scanner must not be used by several goroutines
// at once; keep them in a pool. It holds no reference to src or dst between calls.
type Scanner struct {
	// MaxEvent limits one event as received, in bytes, white space within it
	// included; 0 means DefaultMaxEvent.
	MaxEvent int
	// TopLevel is the top-level namespace that the producer is bound to, ""
	// for the instance.
	TopLevel string
	// NewID appends an id for an event that has none: plain ASCII, nothing
	// that JSON would escape, no quotes. When it is nil such an event is
	// refused with CodeMissingID.
	NewID func(dst []byte) []byte

	keys  keySet
	first []byte // the member that gives an event its id
	// arena holds what an envelope cannot show in place: decoded strings and
	// joined namespaces. It is only ever appended to and replaced when full,
	// so envelopes stay valid while somebody holds them.
	arena []byte
}

// Scan reads the one JSON object at the start of src, before which white space
// may stand, and appends it without insignificant white space to dst, with
// nothing behind it. An event without an id gets one from NewID as its first
// member. dst must not overlap src.
//
// It returns the extended dst, the event's envelope, and the number of bytes of
// src up to the object's end; what follows there is not looked at. The
// envelope's slices lie in out, or in memory that is never reused: they stay
// valid as long as out's bytes stay unchanged, whatever is scanned next.
//
// An error is always an *[EventError]; dst is then returned as it was. n is still
// the number of bytes read when the object is well-formed JSON and only refused
// as an event, so that a caller can go on and name every bad event. n is 0 when
// the object's end is unknown: malformed, too deep, too large, not UTF-8, not an
// object, or src is cut off.
func (s *Scanner) Scan(dst, src []byte) (out []byte, env Envelope, n int, err error) {
	p := pass{s: s, src: src, out: dst, base: len(dst)}
	p.open()
	end := p.object(p.start)
	if p.err != nil {
		return dst, Envelope{}, 0, p.err
	}
	if p.refused == nil {
		p.finish(end)
		p.envelope(&env)
	}
	if p.refused != nil {
		return dst, Envelope{}, end, p.refused
	}
	return p.out, env, end, nil
}

// pass is the state of one Scan. It lives on the stack, so that no buffer of the
// caller outlives the call. Reading functions take an index into src and return
// the one behind what they read, or -1 when they failed; the first failure
// stays in err, and every function passes a -1 on.
type pass struct {
	s     *Scanner
	src   []byte // ends at the size limit when cut
	cut   bool
	start int // of the object in src, -1 when there is none

	// out[base:] is the event as far as it was copied; src[from:] is not yet.
	// A byte of src at i lies, or will lie, at i+shift in the event.
	out   []byte
	base  int
	from  int
	shift int

	escaped bool // the last string had an escape
	fields  [fieldCount]span
	err     *EventError // src holds no readable object
	refused *EventError // the object is no acceptable event
}

// span is where a top-level member's value lies: from start to end in the
// event, from src on in src. A member that is absent has end 0.
type span struct{ src, start, end int32 }

// open finds the object's opening brace, cuts src at the size limit and prepares
// the scanner's key set.
func (p *pass) open() {
	i := 0
	for i < len(p.src) && isSpace(p.src[i]) {
		i++
	}
	if i == len(p.src) {
		p.start = p.fail(CodeMalformedJSON, i, "there is no event", "send one JSON object for each event")
		return
	}
	switch c := p.src[i]; {
	case c == '{':
	case c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n' || c == '-' || isDigit(c):
		p.start = p.fail(CodeNotAnObject, i, "the event is not a JSON object", "send one JSON object for each event")
		return
	default:
		p.start = p.unexpected(i, "an object")
		return
	}
	limit := p.s.MaxEvent
	if limit <= 0 {
		limit = DefaultMaxEvent
	}
	if limit = min(limit, maxOffset-i); len(p.src)-i > limit {
		p.src, p.cut = p.src[:i+limit], true
	}
	p.start, p.from, p.shift = i, i, -i
	p.s.keys.reset()
}

// object reads the event itself, whose brace is at i, and remembers the members
// that the envelope needs.
func (p *pass) object(i int) int {
	if i < 0 {
		return -1
	}
	i, c := p.next(i + 1)
	if c == '}' {
		return i + 1
	}
	for {
		var f field
		if f, i, c = p.member(i, c); i < 0 {
			return -1
		}
		v := span{src: int32(i), start: int32(i + p.shift)}
		if c == '"' {
			i = p.str(i + 1)
		} else {
			i = p.value(i, c)
		}
		if i < 0 {
			return -1
		}
		if f != noField {
			v.end = int32(i + p.shift)
			p.fields[f] = v
		}
		if c = at(p.src, i); c <= ' ' {
			i, c = p.space(i)
		}
		if c == '}' {
			return i + 1
		}
		if c != ',' {
			return p.unexpected(i, "a comma or the object's end")
		}
		if i, c = i+1, at(p.src, i+1); c <= ' ' {
			i, c = p.space(i)
		}
	}
}

// member reads a top-level key and the colon behind it. It returns what the key
// means to the envelope, and where the value starts and with which byte.
func (p *pass) member(i int, c byte) (field, int, byte) {
	start := i + 1
	p.escaped = false
	end, i, c := p.key(i, c)
	if i < 0 {
		return noField, -1, 0
	}
	name, first := p.s.keys.add(p.src, start, end, p.escaped)
	if !first && p.refused == nil {
		p.refused = &EventError{
			Code:    CodeDuplicateKey,
			Message: fmt.Sprintf("the key %q appears twice", shownKey(name)),
			Hint:    "give every key of the event once; two spellings of one key are the same key",
			Offset:  start - 1,
		}
	}
	return fieldOf(name), i, c
}

// finish completes the event in out: it copies what was not copied yet, and puts
// an id in front when there is none.
func (p *pass) finish(end int) {
	p.out = append(p.out, p.src[p.from:end]...)
	if p.present(fieldID) || !p.empty(fieldDocumentID) {
		return
	}
	if p.s.NewID == nil {
		p.refuse(CodeMissingID, fieldID, "the event has no id", "send a unique `id` with each event")
		return
	}
	const opening = `"id":"`
	first := append(p.s.first[:0], opening...)
	first = p.s.NewID(first)
	first = append(first, `",`...)
	p.s.first = first
	p.out = slices.Insert(p.out, p.base+1, first...)
	for f := range p.fields {
		if p.fields[f].end > 0 {
			p.fields[f].start += int32(len(first))
			p.fields[f].end += int32(len(first))
		}
	}
	p.fields[fieldID] = span{src: int32(p.start), start: int32(len(opening)), end: int32(len(first))}
}
