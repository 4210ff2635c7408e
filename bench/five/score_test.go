package five

import (
	"fmt"
	"testing"
	"time"

	record "github.com/sluicelog/sluice/bench/fault"
)

// score counts what all rounds did.
type score struct {
	began                       time.Time
	rounds, kills, events, came int64
}

// add counts a round that was played to its end.
func (s *score) add(w *world) {
	s.rounds++
	s.kills += int64(w.kills)
	s.events += int64(events)
	for _, r := range w.receivers {
		distinct, _ := r.shelf.count()
		s.came += int64(distinct)
	}
}

// keep keeps the record of all rounds.
func (s *score) keep(t *testing.T) {
	t.Helper()
	faults := s.rounds * share // each destination refuses, hangs and dies in each round
	r := record.Record{
		Drill: "All five kinds",
		What: "Receivers of all five kinds refuse, hang and die while events are posted, and the server is killed in between. What each of them got is compared with what was posted, byte by byte, and with the accounts; " +
			"the bucket has to hold each event once; secrets are looked for in the server's log, answers, metrics, pages and files.",
		Command: fmt.Sprintf("go test ./bench/five -args -rounds %d", *roundsFlag),
		Faults:  []record.Count{{Name: "refusals, hangs and deaths of destinations", Count: faults}, {Name: "kills", Count: s.kills}},
		Judged:  []record.Count{{Name: "events posted", Count: s.events}, {Name: "events that came", Count: s.came}},
		Began:   s.began, Seconds: time.Since(s.began).Seconds(),
	}
	if t.Failed() {
		r.Findings = []string{fmt.Sprintf("the test failed after %d of %d rounds: see its output", s.rounds, *roundsFlag)}
	}
	record.Keep(t, r)
}
