// Package secret keeps secrets out of logs, answers and files at rest.
//
// A [Text] is a secret in memory: however it is printed, only "***" comes out,
// unless the code says Reveal. A [Ring] seals secrets before they are stored,
// with keys from a file that is kept apart from the data: who gets hold of a
// copy of the control state alone cannot read them. A sealed value is bound to
// the place it was made for, so that it cannot be moved to another stream, whose
// owner would then see it used.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted stands for every secret, the empty one too: what is printed tells
// nothing about it.
const redacted = "***"

// Text is a secret. Every verb of fmt, log/slog, JSON and text encoding print
// it as "***"; Reveal is the only way to its content. Decoding JSON into a Text
// works as for a string.
//
// A string type cannot stop three things: fmt prints unexported fields of a
// struct, and arguments of %p and %w, without asking their methods (go vet
// refuses these two verbs), and encoding/json writes map keys that are strings
// as they are. So keep a Text in exported fields, and never as the key of a map.
// Compare secrets with crypto/subtle.
type Text string

var (
	_ fmt.Formatter  = Text("")
	_ slog.LogValuer = Text("")
)

// Reveal returns the secret itself.
func (t Text) Reveal() string { return string(t) }

// Format prints "***" for every verb.
func (Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "***".
func (Text) String() string { return redacted }

// GoString returns "***".
func (Text) GoString() string { return redacted }

// LogValue returns "***".
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "***". A Text that must be stored is sealed before.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "***" as a JSON string.
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
