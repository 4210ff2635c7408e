package index

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/sluicelog/sluice"
)

// walker goes once through a payload that is known to be valid JSON without white
// space between its tokens. Its functions take an index into src and return the
// one behind what they read. On anything else than such a payload they go
// nowhere: they end at the end of src, with fewer terms.
type walker struct {
	terms *Terms
	src   []byte
}

// byteAt returns the byte at i, 0 behind the end.
func (w *walker) byteAt(i int) byte {
	if uint(i) < uint(len(w.src)) {
		return w.src[i]
	}
	return 0
}

// object reads the object at i: the event, or one within it whose members are
// used like the event's.
func (w *walker) object(i int, inside bool) int {
	if i++; w.byteAt(i) == '}' {
		return i + 1
	}
	for w.byteAt(i) == '"' {
		name, end := w.str(i)
		use, field := usage(name)
		i = w.member(end+1, use, field, inside)
		if w.byteAt(i) != ',' {
			return i + 1
		}
		i++
	}
	return len(w.src)
}

// member reads the value at i of a member with this use.
func (w *walker) member(i int, use use, field Field, inside bool) int {
	switch use {
	case useTerm, useWords, useTarget:
		return w.value(i, use, field)
	case useInside:
		if !inside && w.byteAt(i) == '{' {
			return w.object(i, true)
		}
	case useEntity:
		if c := w.byteAt(i); !inside && c != '{' && c != '[' {
			return w.entity(i, field)
		}
	}
	return w.skip(i)
}

// entity keeps a member that tells about the entity; see [Terms.readEntity].
func (w *walker) entity(i int, field Field) int {
	text, end, ok := w.scalar(i)
	if !ok {
		return end
	}
	text = slices.Clip(text)
	switch field {
	case FieldKind:
		w.terms.kind = w.keep(text)
	case FieldEntity:
		w.terms.entity = w.keep(text)
	default:
		w.terms.path = w.keep(text)
	}
	return end
}

// keep returns text where it stays when the next string is read.
func (w *walker) keep(text []byte) []byte {
	if len(text) > 0 && len(w.terms.text) > 0 && &text[0] == &w.terms.text[0] {
		return bytes.Clone(text)
	}
	return text
}

// value reads the value at i and adds what it holds, if it is an array or an
// object what its elements hold.
func (w *walker) value(i int, use use, field Field) int {
	switch w.byteAt(i) {
	case '[', '{':
		return w.nested(i, use, field)
	}
	text, end, ok := w.scalar(i)
	if !ok || len(text) == 0 {
		return end
	}
	if use != useWords {
		w.terms.add(field, text)
		w.terms.repo = w.terms.repo || field == FieldRepo
	}
	if use != useTerm {
		w.terms.addWords(text)
	}
	return end
}

// nested reads the container at i: the scalars of an array are terms, the strings
// of an object have words, however deep they lie.
func (w *walker) nested(i int, use use, field Field) int {
	array := w.byteAt(i) == '['
	depth := 0
	for i < len(w.src) {
		switch c := w.src[i]; c {
		case '{', '[':
			depth++
			i++
		case '}', ']':
			i++
			if depth--; depth == 0 {
				return i
			}
		case ',', ':':
			i++
		default:
			text, end, ok := w.scalar(i)
			i = end
			switch {
			case !ok || len(text) == 0 || w.byteAt(end) == ':':
			case use != useWords && array && depth == 1:
				w.terms.add(field, text)
				w.terms.repo = w.terms.repo || field == FieldRepo
			case use != useTerm && c == '"':
				w.terms.addWords(text)
			}
		}
	}
	return i
}

// scalar reads the string, number or literal at i; ok is false for a literal.
func (w *walker) scalar(i int) (text []byte, end int, ok bool) {
	c := w.byteAt(i)
	if c == '"' {
		text, end = w.str(i)
		return text, end, true
	}
	for end = i; end < len(w.src); end++ {
		switch w.src[end] {
		case ',', '}', ']', ':':
			return w.src[i:end], max(end, i+1), c == '-' || c-'0' <= 9
		}
	}
	return nil, end, false
}

// str reads the string at i, without its quotes and escapes. The text is valid
// until the next call.
func (w *walker) str(i int) (text []byte, end int) {
	end, slash := w.pass(i)
	text = w.src[i+1 : max(i+1, end-1)]
	if slash {
		w.terms.text = sluice.AppendUnescaped(w.terms.text[:0], text)
		text = w.terms.text
	}
	return text, end
}

// escaped reports whether the byte at end, of the string from start on, has an
// odd number of backslashes before it.
func (w *walker) escaped(start, end int) bool {
	i := end
	for i > start && w.src[i-1] == '\\' {
		i--
	}
	return (end-i)%2 != 0
}

// skip passes over the value at i.
func (w *walker) skip(i int) int {
	depth := 0
	for i < len(w.src) {
		switch w.src[i] {
		case '"':
			i, _ = w.pass(i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':':
			i++
			continue
		default:
			_, i, _ = w.scalar(i)
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

// pass passes over the string at i. It says whether there is a backslash in it.
func (w *walker) pass(i int) (end int, slash bool) {
	const short = 32 // bytes: it is worth a call to look at more at once
	start := i + 1
	for end = start; end+8 <= len(w.src) && end < start+short; {
		v := binary.LittleEndian.Uint64(w.src[end:])
		quote, back := zeros(v^'"'*eachByte), zeros(v^'\\'*eachByte)
		if quote == 0 {
			slash = slash || back != 0
			end += 8
			continue
		}
		slash = slash || back&(quote-1) != 0 // before the first quote
		if end += bits.TrailingZeros64(quote) / 8; !slash || !w.escaped(start, end) {
			return end + 1, slash
		}
		end++
	}
	for ; end < len(w.src); end++ {
		n := bytes.IndexByte(w.src[end:], '"')
		if n < 0 {
			break
		}
		slash = slash || bytes.IndexByte(w.src[end:end+n], '\\') >= 0
		if end += n; !slash || !w.escaped(start, end) {
			return end + 1, slash
		}
	}
	return len(w.src), true
}

// zeros has the high bit of the lowest byte that is zero, and nothing below it.
func zeros(v uint64) uint64 { return (v - eachByte) &^ v & highBits }
