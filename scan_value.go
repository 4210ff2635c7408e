package sluice

// value reads one value, other than a string, that starts at i with the byte c.
func (p *pass) value(i int, c byte) int {
	if c == '{' || c == '[' {
		return p.nested(i, c)
	}
	return p.scalar(i, c)
}

// nested reads the container at i, which the event holds, without recursion.
// Each round of the loop begins at a value.
func (p *pass) nested(i int, c byte) int {
	var closer [MaxEventDepth + 1]byte // of the open container at each depth
	depth := 1                         // the event itself
	for {
		switch {
		case c == '"':
			i, c = p.next(p.str(i + 1))
		case c == '{' || c == '[':
			if depth++; depth > MaxEventDepth {
				return p.fail(CodeTooDeep, i, "the event is nested deeper than 100", "flatten the event")
			}
			closer[depth] = c + 2 // '{' to '}', '[' to ']'
			if i, c = p.next(i + 1); c != closer[depth] {
				if closer[depth] == '}' {
					_, i, c = p.key(i, c)
				}
				continue
			}
		default:
			i, c = p.next(p.scalar(i, c))
		}
		for c == closer[depth] {
			if depth--; depth == 1 {
				return i + 1
			}
			i, c = p.next(i + 1)
		}
		if c != ',' {
			return p.unexpected(i, "a comma or the container's end")
		}
		if i, c = p.next(i + 1); closer[depth] == '}' {
			_, i, c = p.key(i, c)
		}
	}
}

// key reads a key that starts at i with the byte c, and the colon behind it. It
// returns where the key ends, without its quote, where the value starts and with
// which byte.
func (p *pass) key(i int, c byte) (end, value int, first byte) {
	if c != '"' {
		return -1, p.unexpected(i, "a key"), 0
	}
	i = p.str(i + 1)
	end = i - 1
	if c = at(p.src, i); c <= ' ' {
		i, c = p.space(i)
	}
	if c != ':' {
		return -1, p.unexpected(i, "a colon"), 0
	}
	if i, c = i+1, at(p.src, i+1); c <= ' ' {
		i, c = p.space(i)
	}
	return end, i, c
}

// scalar reads a number or a literal.
func (p *pass) scalar(i int, c byte) int {
	switch {
	case c == '-' || isDigit(c):
		return p.number(i)
	case c == 't':
		return p.literal(i, "true")
	case c == 'f':
		return p.literal(i, "false")
	case c == 'n':
		return p.literal(i, "null")
	}
	return p.unexpected(i, "a value")
}

func (p *pass) literal(i int, word string) int {
	rest := p.src[i:]
	if len(rest) >= len(word) && string(rest[:len(word)]) == word {
		return i + len(word)
	}
	for j := range rest {
		if rest[j] != word[j] {
			return p.unexpected(i+j, word)
		}
	}
	return p.ends()
}

// number reads RFC 8259's number: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func (p *pass) number(i int) int {
	if p.src[i] == '-' {
		i++
	}
	if i < len(p.src) && p.src[i] == '0' {
		i++
	} else if i = p.digits(i); i < 0 {
		return -1
	}
	if i < len(p.src) && p.src[i] == '.' {
		if i = p.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(p.src) && p.src[i]|0x20 == 'e' {
		i++
		if i < len(p.src) && (p.src[i] == '+' || p.src[i] == '-') {
			i++
		}
		return p.digits(i)
	}
	return i
}

// digits reads one digit or more.
func (p *pass) digits(i int) int {
	start := i
	for i < len(p.src) && isDigit(p.src[i]) {
		i++
	}
	if i == start {
		return p.unexpected(i, "a digit")
	}
	return i
}

// next returns the first byte at or behind i that is not white space, and its
// index. The byte is 0 at the end of src.
func (p *pass) next(i int) (int, byte) {
	if c := at(p.src, i); c > ' ' {
		return i, c
	}
	return p.space(i)
}

// at returns the byte of src at i, 0 when i lies outside. Where speed matters it
// does next's work in place: whatever it returns up to ' ' is for space to judge.
func at(src []byte, i int) byte {
	if uint(i) < uint(len(src)) {
		return src[i]
	}
	return 0
}

// space does next's work where white space does stand: it copies what lies
// before it to out and leaves the white space behind.
func (p *pass) space(start int) (int, byte) {
	if start < 0 {
		return -1, 0
	}
	i := start
	for i < len(p.src) && isSpace(p.src[i]) {
		i++
	}
	if i > start {
		p.out = append(p.out, p.src[p.from:start]...)
		p.from, p.shift = i, len(p.out)-p.base-i
	}
	if i == len(p.src) {
		return i, 0
	}
	return i, p.src[i]
}

// fail notes why src holds no readable object and returns -1.
func (p *pass) fail(code string, i int, message, hint string) int {
	if p.err == nil {
		p.err = &EventError{Code: code, Message: message, Hint: hint, Offset: i}
	}
	return -1
}

// unexpected fails because something else than wanted stands at i.
func (p *pass) unexpected(i int, wanted string) int {
	if i < 0 || i >= len(p.src) {
		return p.ends()
	}
	return p.fail(CodeMalformedJSON, i, "the event is not JSON: expected "+wanted, "check the event with a JSON parser")
}

// ends fails because src ends within the object.
func (p *pass) ends() int {
	if p.cut {
		return p.fail(CodeTooLarge, len(p.src), "the event is larger than the limit for one event",
			"leave large values out, or have the administrator raise the limit")
	}
	return p.fail(CodeMalformedJSON, len(p.src), "the event ends in the middle of an object", "send the object whole")
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func isDigit(c byte) bool { return c-'0' <= 9 }
