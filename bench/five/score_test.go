package five

import (
	"fmt"
	"testing"

	record "github.com/sluicelog/sluice/bench/fault"
)

// score counts what all rounds did.
type score struct {
	rounds                      int64 // that were played to their end
	faults, kills, events, came int64
	findings                    []string
}

// add counts a round, also one that broke off.
func (s *score) add(t *testing.T, w *world) {
	t.Helper()
	s.kills += int64(w.kills)
	s.faults += int64(w.phases) // in each a destination refuses, hangs or dies
	s.events += int64(w.book.acknowledged())
	for _, r := range w.receivers {
		distinct, _ := r.shelf.count()
		s.came += int64(distinct)
	}
	words, _ := w.book.findings()
	s.findings = append(s.findings, words...)
	if !t.Failed() {
		s.rounds++
	} else if len(words) == 0 {
		s.findings = append(s.findings, fmt.Sprintf("a round failed after %d that did not: see the output", s.rounds))
	}
}

func (s *score) record() record.Record {
	return record.Record{
		Drill: "All five kinds",
		What: "Receivers of all five kinds refuse, hang and die while events are posted, and the server is killed in between. What each of them got is compared with what was posted, byte by byte, and with the accounts; " +
			"the bucket has to hold each event once, all but webhooks have to come in the order of the log; secrets are looked for in the server's log, answers, metrics, pages and files.",
		Command:  fmt.Sprintf("go test ./bench/five -args -rounds %d", *roundsFlag),
		Faults:   []record.Count{{Name: "refusals, hangs and deaths of destinations", Count: s.faults}, {Name: "kills", Count: s.kills}},
		Judged:   []record.Count{{Name: "events posted", Count: s.events}, {Name: "events that came", Count: s.came}},
		Findings: s.findings,
	}
}
