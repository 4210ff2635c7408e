package sluice

import "testing"

func TestAppendUnescaped(t *testing.T) {
	for in, want := range map[string]string{
		``: "", `plain`: "plain", `\"\\\/\b\f\n\r\t`: "\"\\/\b\f\n\r\t", `\u00e9\u4e2d`: "é中", `\ud83d\ude00!`: "😀!",
		// What no scanner lets through.
		`\`: `\`, `\u`: "\x00", `\u41`: "A", `\ud83d`: "\ufffd", `\ud83d\`: "\ufffd\\", `\ud83d\u`: "\ufffd", `\uzzzz`: "\x00",
	} {
		if got := string(AppendUnescaped([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("%s: got %q, want %q", in, got, "x"+want)
		}
	}
}
