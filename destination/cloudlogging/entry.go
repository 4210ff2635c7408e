package cloudlogging

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// severity of every entry: audit events state none, and GitLab's own streaming
// writes INFO, so that filters made for it go on working.
const severity = "INFO"

// maxInsertID bounds what is taken over as insertId; Google documents no limit,
// and the ids of events have at most 255 bytes.
const maxInsertID = 255

// appendEntry appends a LogEntry
// (https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry). The
// log's name and the resource are those of the whole request.
func appendEntry(dst []byte, e *destination.Event) []byte {
	dst = append(dst, `{"insertId":"`...)
	dst = appendInsertID(dst, e.ID)
	dst = append(dst, `","timestamp":"`...)
	dst = e.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","severity":"`+severity+`","labels":{`...)
	if e.Namespace != "" {
		dst = append(dst, `"namespace":`...)
		dst = appendString(dst, e.Namespace)
		dst = append(dst, ',')
	}
	dst = append(dst, `"type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `},"jsonPayload":`...)
	dst = appendPayload(dst, e.Payload)
	return append(dst, '}')
}

// appendInsertID appends the event's id, or "sha256-" and the hexadecimal
// SHA-256 of an id that is long or has other characters than letters, digits
// and -_.
func appendInsertID(dst, id []byte) []byte {
	plain := len(id) > 0 && len(id) <= maxInsertID
	for _, c := range id {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if plain {
		return append(dst, id...)
	}
	sum := sha256.Sum256(id)
	return hex.AppendEncode(append(dst, "sha256-"...), sum[:])
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
