package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
)

// libraryLog takes what libraries write to the logger that all of a process
// share. The client of net/http quotes there what a far side sent when nobody
// asked: that may hold anything, and as much of it as the far side likes. So a
// line ends where a quotation begins, and is told for debugging only.
type libraryLog struct{ lg *slog.Logger }

var _ io.Writer = libraryLog{}

// maxLibraryWords bounds a line, in bytes.
const maxLibraryWords = 200

// Write implements [io.Writer]. It is called with whole lines, by several
// goroutines.
func (l libraryLog) Write(p []byte) (int, error) {
	words, _, _ := strings.Cut(string(p[:min(len(p), maxLibraryWords)]), `"`)
	l.lg.DebugContext(context.Background(), "a library says", "words", strings.TrimSpace(strings.ToValidUTF8(words, "")))
	return len(p), nil
}

// catchLibraryLog sends the shared logger to lg until release is called.
func catchLibraryLog(lg *slog.Logger) (release func()) {
	w, flags := log.Writer(), log.Flags()
	log.SetOutput(libraryLog{lg})
	log.SetFlags(0)
	return func() {
		log.SetOutput(w)
		log.SetFlags(flags)
	}
}
