package control

import (
	"fmt"
	"maps"
	"slices"
)

// What follows prints values that hold secrets, or configurations with header
// values in them, by what identifies them: whoever logs one shows no secret.

// Format prints the stream's id, whatever the verb.
func (s Stream) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "stream %d (%s, %s, last error %+v, ledger %+v)", s.ID, s.Kind, s.Status, s.Health.LastError, s.Ledger)
}

// Format prints namespace, kind and the names of the secrets, whatever the verb.
func (s StreamSpec) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "stream of %q, kind %s, secrets %v", s.Namespace, s.Kind, slices.Sorted(maps.Keys(s.Secrets)))
}

// Format prints the names of the secrets, whatever the verb.
func (p StreamPatch) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "change of a stream, secrets %v", slices.Sorted(maps.Keys(p.Secrets)))
}
