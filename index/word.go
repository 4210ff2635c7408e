package index

import (
	"unicode"
	"unicode/utf8"
)

// NextWord returns the first word of text and what stands behind it, both as
// parts of text; word is empty when there is none left. A word is an unbroken run
// of letters, digits and marks of any script: "pre-receive_hook" has three. Events
// and phrases are cut into words here alone, and folded by [NewTerm].
func NextWord(text string) (word, rest string) {
	start := 0
	for start < len(text) {
		n, in := wordRune(text[start:])
		if in {
			break
		}
		start += n
	}
	end := start
	for end < len(text) {
		n, in := wordRune(text[end:])
		if !in {
			break
		}
		end += n
	}
	return text[start:end], text[end:]
}

// wordRune returns the size of the first rune of s, and whether it belongs to a
// word. What is no UTF-8 belongs to none.
func wordRune(s string) (size int, in bool) {
	if c := s[0]; c < utf8.RuneSelf {
		return 1, 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
	}
	r, n := utf8.DecodeRuneInString(s)
	return n, unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}
