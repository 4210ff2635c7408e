package sluice

import "unicode/utf8"

// Codes of an [EventError]. The first group says that src holds no event that
// could be read to its end: [Scanner.Scan] then returns n = 0. After the others
// the event is well-formed and n leads behind it.
const (
	CodeMalformedJSON = "malformed_json" // breaks the grammar, or ends too early
	CodeNotAnObject   = "not_an_object"  // another JSON value than an object
	CodeTooDeep       = "too_deep"       // nested deeper than 100
	CodeInvalidUTF8   = "invalid_utf8"   // not UTF-8, or half of a surrogate pair
	CodeTooLarge      = "too_large"      // longer than Scanner.MaxEvent

	CodeDuplicateKey     = "duplicate_key"     // a top-level key appears twice
	CodeMissingID        = "missing_id"        // no id, and the scanner makes none
	CodeMissingType      = "missing_type"      // neither event_type nor action
	CodeMissingNamespace = "missing_namespace" // nothing says where it belongs
	CodeBadID            = "bad_id"            // empty, over-long or of a wrong type
	CodeBadTime          = "bad_time"          // unreadable, or outside the years 1 to 9999
	CodeBadType          = "bad_type"          // over-long, of a wrong type, or with control characters
	CodeBadKind          = "bad_kind"          // entity_type over-long or of a wrong type
	CodeBadNamespace     = "bad_namespace"     // not a path, or of a wrong type
	CodeForeignNamespace = "foreign_namespace" // outside the producer's top-level namespace
)

// EventError says why an event was refused. It holds nothing of the payload but,
// for a duplicate, the key's name, cut to 64 bytes.
type EventError struct {
	Code    string // one of the Code constants
	Message string
	Hint    string // what the producer can do
	Offset  int    // where in src, in bytes
}

func (e *EventError) Error() string { return e.Message }

// maxShownKey is how much of a key's name a message may show, in bytes.
const maxShownKey = 64

// shownKey cuts key for a message, never within a character.
func shownKey(key []byte) []byte {
	if len(key) <= maxShownKey {
		return key
	}
	n := maxShownKey
	for n > 0 && !utf8.RuneStart(key[n]) {
		n--
	}
	return key[:n]
}
