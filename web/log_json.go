package web

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIndent is how many levels of JSON are set in.
const maxIndent = 24

// pretty sets JSON out over lines, without changing what it says: numbers stay as
// they are written. Characters that are not seen, or that turn the direction of
// text, are written as JSON escapes. It stops at a limit, in bytes, and reports
// whether that cut something off. src is valid JSON without white space between
// its tokens, as the log holds events.
func pretty(src []byte, limit int) (text string, cut bool) {
	var b strings.Builder
	depth := 0
	line := func() {
		b.WriteByte('\n')
		for range min(depth, maxIndent) {
			b.WriteString("  ")
		}
	}
	for i := 0; i < len(src); {
		if b.Len() >= limit {
			return b.String(), true
		}
		switch c := src[i]; c {
		case '{', '[':
			b.WriteByte(c)
			if i+1 < len(src) && src[i+1] == c+2 { // the closing one of both
				b.WriteByte(c + 2)
				i += 2
				continue
			}
			depth++
			line()
		case '}', ']':
			depth--
			line()
			b.WriteByte(c)
		case ',':
			b.WriteByte(c)
			line()
		case ':':
			b.WriteString(": ")
		case '"':
			end := endOfText(src, i)
			if cut := writeText(&b, src[i:end], limit); cut {
				return b.String(), true
			}
			i = end
			continue
		default:
			b.WriteByte(c)
		}
		i++
	}
	return b.String(), false
}

// endOfText returns the index behind the JSON string at i.
func endOfText(src []byte, i int) int {
	for i++; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(src)
}

// writeText writes a JSON string, and reports whether the limit cut it off.
func writeText(b *strings.Builder, s []byte, limit int) bool {
	if room := limit - b.Len(); len(s) > room {
		s = bytes.ToValidUTF8(s[:max(room, 0)], nil)
		writeSeen(b, s)
		return true
	}
	writeSeen(b, s)
	return false
}

func writeSeen(b *strings.Builder, s []byte) {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		switch {
		case !unseen(r):
			b.Write(s[:n])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
		s = s[n:]
	}
}

// unseen reports whether a character is not seen where it stands, or changes how
// others are.
func unseen(r rune) bool {
	return r != ' ' && (unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r))
}

// plain makes one line of a text from an event, of so many characters at most.
func plain(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case unseen(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
