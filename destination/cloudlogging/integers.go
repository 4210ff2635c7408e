package cloudlogging

import "bytes"

// Cloud Logging keeps numbers as doubles, which hold integers exactly up to
// 2^53; beyond that, ids would change silently.
const (
	maxExact   = "9007199254740992" // 2^53
	shortToken = len(maxExact)      // fewer bytes cannot be beyond it
)

// appendPayload appends a JSON document with every integer beyond ±2^53 as a
// string. All other bytes stay as they are. Nothing is decoded: between two
// strings there is rarely room for such a number, and then there is nothing to
// look at.
func appendPayload(dst, payload []byte) []byte {
	copied := 0 // payload up to here is in dst
	for at := 0; at < len(payload); {
		end := len(payload)
		quote := bytes.IndexByte(payload[at:], '"')
		if quote >= 0 {
			end = at + quote
		}
		if end-at >= shortToken {
			dst, copied = quoteIntegers(dst, payload, copied, at, end)
		}
		if quote < 0 {
			break
		}
		at = stringEnd(payload, end+1)
	}
	return append(dst, payload[copied:]...)
}

// stringEnd returns the index behind the string whose text begins at i.
func stringEnd(payload []byte, i int) int {
	for {
		n := bytes.IndexByte(payload[i:], '"')
		if n < 0 {
			return len(payload)
		}
		end := i + n
		escapes := 0
		for end-escapes > i && payload[end-escapes-1] == '\\' {
			escapes++
		}
		if i = end + 1; escapes%2 == 0 {
			return i
		}
	}
}

// quoteIntegers puts the large integers in payload[at:end], which is outside of
// strings, into quotes. dst holds payload up to copied.
func quoteIntegers(dst, payload []byte, copied, at, end int) ([]byte, int) {
	for at < end {
		if !numberByte(payload[at]) {
			at++
			continue
		}
		start := at
		for at < end && numberByte(payload[at]) {
			at++
		}
		if !inexact(payload[start:at]) {
			continue
		}
		dst = append(dst, payload[copied:start]...)
		dst = append(dst, '"')
		dst = append(dst, payload[start:at]...)
		dst = append(dst, '"')
		copied = at
	}
	return dst, copied
}

// numberByte reports whether c can be part of a number. The letters of true,
// false and null that are (e) make tokens that inexact does not take for one.
func numberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// inexact reports whether a token is an integer, written without fraction and
// exponent, beyond ±2^53.
func inexact(token []byte) bool {
	if len(token) > 0 && token[0] == '-' {
		token = token[1:]
	}
	if len(token) < shortToken {
		return false
	}
	for _, c := range token {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(token) > shortToken || string(token) > maxExact
}
