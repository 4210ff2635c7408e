package sluice

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Eight bytes at a time: the word with b in each byte is b*lowBits.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// special returns a word whose lowest set bit lies in the first byte of x, in
// memory order, that may not simply stand in a string: a quote, a backslash, a
// control character, or a part of a character beyond ASCII. It is 0 when no byte
// is. Bits above the lowest may be wrong, for a borrow travels upwards.
func special(x uint64) uint64 {
	// With bit 1 flipped the quote (0x22) is 0x20, the control characters stay
	// below it, and everything else above.
	quoteOrControl := (x ^ 0x02*lowBits) - 0x21*lowBits
	backslash := (x ^ '\\'*lowBits) - lowBits
	return (quoteOrControl | backslash | x) & highBits
}

// str reads a string whose opening quote stands before i.
func (p *pass) str(i int) int {
	src := p.src
	for {
		for i >= 0 && i <= len(src)-8 {
			m := special(binary.LittleEndian.Uint64(src[i : i+8]))
			if m == 0 {
				i += 8
				continue
			}
			if i += bits.TrailingZeros64(m) >> 3; at(src, i) == '"' {
				return i + 1
			}
			break
		}
		// At an unusual byte, or within the last eight of src.
		for i < len(src) && src[i] != '"' && src[i] != '\\' && src[i]-' ' < utf8.RuneSelf-' ' {
			i++
		}
		if i >= len(src) {
			return p.ends()
		}
		if src[i] == '"' {
			return i + 1
		}
		if i = p.unusual(i); i < 0 {
			return -1
		}
	}
}

// unusual reads the escape or the characters beyond ASCII at i in a string.
func (p *pass) unusual(i int) int {
	switch c := p.src[i]; {
	case c == '\\':
		p.escaped = true
		return p.escape(i)
	case c < ' ':
		return p.fail(CodeMalformedJSON, i, "a string holds a raw control character", "escape control characters in strings")
	}
	for i < len(p.src) && p.src[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRune(p.src[i:])
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(p.src[i:]) {
				return p.ends()
			}
			return p.fail(CodeInvalidUTF8, i, "a string is not UTF-8", "send the event encoded in UTF-8")
		}
		i += n
	}
	return i
}

// escape reads the escape at i; a surrogate pair is one.
func (p *pass) escape(i int) int {
	if i+1 == len(p.src) {
		return p.ends()
	}
	switch p.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return p.unexpected(i+1, "an escape")
	}
	r := p.hex(i + 2)
	if r < 0 || !utf16.IsSurrogate(r) {
		if r < 0 {
			return -1
		}
		return i + 6
	}
	low := rune(-1)
	if rest := p.src[i+6:]; len(rest) == 0 || rest[0] == '\\' && len(rest) == 1 {
		return p.ends()
	} else if rest[0] == '\\' && rest[1] == 'u' {
		if low = p.hex(i + 8); low < 0 {
			return -1
		}
	}
	if utf16.DecodeRune(r, low) == utf8.RuneError {
		return p.fail(CodeInvalidUTF8, i, "a string holds half of a surrogate pair", "escape characters beyond U+FFFF as two surrogates, or send them in UTF-8")
	}
	return i + 12
}

// hex reads the four digits of a \u escape; it returns -1 when it fails.
func (p *pass) hex(i int) rune {
	var r rune
	for j := i; j < i+4; j++ {
		if j >= len(p.src) {
			return rune(p.ends())
		}
		d := hexDigit(p.src[j])
		if d < 0 {
			return rune(p.unexpected(j, "four hexadecimal digits"))
		}
		r = r<<4 | d
	}
	return r
}

func hexDigit(c byte) rune {
	switch {
	case isDigit(c):
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c | 0x20 - 'a' + 10)
	}
	return -1
}

// AppendUnescaped appends to dst what s, the inside of a valid JSON string, stands
// for. Of something else than that it appends some text; it never fails.
func AppendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := unhex(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) && i+2 < len(s) {
				r = utf16.DecodeRune(r, unhex(s[i+3:]))
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default: // '"', '\\', '/'
			dst = append(dst, c)
		}
	}
	return dst
}

// unhex reads four hexadecimal digits, or as many as there are.
func unhex(s []byte) (r rune) {
	for _, c := range s[:min(4, len(s))] {
		r = r<<4 | max(hexDigit(c), 0)
	}
	return r
}
