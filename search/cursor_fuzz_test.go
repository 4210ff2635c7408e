package search

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// FuzzCursor reads cursors that are anything at all, with a checksum that is right
// or not. Nothing but a cursor of this query is taken, and it is read as it was
// written.
func FuzzCursor(f *testing.F) {
	log, err := eventlog.Open(f.Context(), eventlog.NewMemory(eventlog.MemoryOptions{Log: logID()}), eventlog.Options{ID: logID()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = log.Close() })
	s := New(Config{Log: log})
	digest := [digestSize]byte{1, 2, 3}
	for _, c := range []cut{{"audit": 7, "git": 1 << 63}, {}, {"git": 0}} {
		text := s.cursor(c, digest)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, b[1+digestSize:len(b)-sumSize])
	}
	f.Add("", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'a'})
	f.Fuzz(func(t *testing.T, text string, inner []byte) {
		body := append(append([]byte{cursorVersion}, digest[:]...), inner...)
		sealed := base64.RawURLEncoding.EncodeToString(append(body, s.sum(body)...))
		for _, text := range []string{text, sealed} {
			c, err := s.parseCursor(text, digest)
			if err != nil {
				if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Invalid || e.Hint == "" {
					t.Errorf("%q: got %v, want it refused with a hint", text, err)
				}
				continue
			}
			if len(c) > len(text) {
				t.Errorf("%q: got %d partitions", text, len(c))
			}
			if again, err := s.parseCursor(s.cursor(c, digest), digest); err != nil || again["audit"] != c["audit"] || again["git"] != c["git"] {
				t.Errorf("%q: written and read again it is %v (%v), want %v", text, again, err, c)
			}
			if _, err := s.parseCursor(text, [digestSize]byte{9}); err == nil {
				t.Errorf("%q: taken for another query", text)
			}
		}
	})
}
