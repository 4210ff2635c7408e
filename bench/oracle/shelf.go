package oracle

import (
	"encoding/json"
	"fmt"
)

// ownEvent is an event that Sluice wrote about itself.
type ownEvent struct {
	ID      string          `json:"id"`
	Type    string          `json:"event_type"`
	Path    string          `json:"entity_path"`
	Target  json.RawMessage `json:"target_id"`
	Details struct {
		Ledger *ledger `json:"ledger"`
	} `json:"details"`
}

// takeOwn counts an event that the oracle did not issue.
func (r *receiver) takeOwn(payload []byte) {
	var e ownEvent
	if err := json.Unmarshal(payload, &e); err != nil || !ownType(e.Type) || e.ID == "" {
		r.findings.add("%s: got what nobody issued: %.200q", r.spec.Name, payload)
		return
	}
	switch {
	case r.own[e.ID] == 0:
		r.order = append(r.order, e)
	case r.bucket != nil:
		r.findings.add("%s: own event %s (%s) is in the bucket twice", r.spec.Name, e.ID, e.Type)
	default:
		r.again(true)
	}
	r.own[e.ID]++
}

// ownType reports whether Sluice may write events of a type about what the oracle
// does.
func ownType(t string) bool {
	switch t {
	case "stream.create", "stream.update", "stream.pause", "stream.resume", "stream.delete",
		"stream.failing", "stream.held", "stream.recovered", "stream.check", "token.create", "namespace.create", "secrets.rotate", "secrets.prune":
		return true
	}
	return false
}

// shelf is what a receiver holds, at one moment.
type shelf struct {
	counts  []uint8
	own     []ownEvent
	refused map[number]bool
}

// arrived reports whether an event has arrived.
func (s *shelf) arrived(n number) bool {
	return n.serial() < uint64(len(s.counts)) && s.counts[n.serial()] > 0
}

// distinct returns how many events have arrived.
func (s *shelf) distinct() int {
	total := len(s.own)
	for _, c := range s.counts {
		if c > 0 {
			total++
		}
	}
	return total
}

func (r *receiver) shelf() shelf {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := shelf{counts: append([]uint8(nil), r.counts...), own: append([]ownEvent(nil), r.order...), refused: map[number]bool{}}
	for n := range r.refused {
		s.refused[n] = true
	}
	return s
}

func (e *ownEvent) about(stream int64) bool { return string(e.Target) == fmt.Sprint(stream) }
