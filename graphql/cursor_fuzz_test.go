package graphql

import (
	"strings"
	"testing"
)

// FuzzCursor: a cursor is read as it was written, or refused.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{writeCursor("7"), writeCursor(""), writeCursor("\x00ü") + "==", "eyJrZXkiOjd9", "e30", "%", "[]", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := readCursor("after", textOf(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "after ") {
				t.Errorf("%q: got %v, want an error about after", text, err)
			}
			return
		}
		if again, err := readCursor("after", textOf(writeCursor(key))); err != nil || again != key {
			t.Errorf("%q: written and read again it is %q (%v), want %q", text, again, err, key)
		}
		if back, err := readCursor("after", textOf(writeCursor(text))); err == nil && back != strings.ToValidUTF8(text, "\ufffd") && back != text {
			t.Errorf("cursor of %q: got %q", text, back)
		}
	})
}

func textOf(s string) text { return text{set: true, value: s} }

// FuzzGlobalID: a number is read from the one spelling that it has.
func FuzzGlobalID(f *testing.F) {
	for _, id := range []string{string(gid(groupStream, 7)), string(gid(groupHTTP, 0)), "gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/+7", "gid://gitlab//1", "gid://gitlab/AuditEvents::Group::ExternalStreamingDestination/99999999999999999999", "7", ""} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, c := range []class{groupStream, groupHTTP, groupHeader} {
			if n, err := c.number(id); err == nil && (n < 0 || string(gid(c, n)) != id) {
				t.Errorf("%q as %s: got %d", id, c, n)
			}
		}
	})
}
