//go:build linux && amd64 && torture

package clock

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/bench/server"
)

// broken builds a server with a clock and a defect.
func broken(t *testing.T, defects ...mutant.Edit) string {
	t.Helper()
	return mutant.Broken(t, Edits(append(defects, soon()...)...), Flag)
}

// TestADayAheadFindsRetentionThatGoesOn plays with a server that does not mind how
// far the clock is ahead.
func TestADayAheadFindsRetentionThatGoesOn(t *testing.T) {
	w := &world{t: t}
	w.begin(broken(t, mutant.Edit{File: "deliver/retention.go", Old: "const clockSlack = time.Hour", New: "const clockSlack = 100 * time.Hour"}))
	w.fill(9000)
	w.archived() // a stream that is behind is entitled to its events
	w.clock.Set(day)
	w.fill(9000)
	server.Pause(t.Context(), time.Second)
	if w.kept(); !mention(w.found, "removed") {
		t.Errorf("a server that took young events for old ones was not found out: %q", w.found)
	}
}

// TestPausePastRetentionFindsAWrongRange plays with a server whose gaps begin one
// event too early.
func TestPausePastRetentionFindsAWrongRange(t *testing.T) {
	w := &paused{t: t}
	w.begin(broken(t, mutant.Edit{File: "deliver/gap.go", Old: "	l.rec.Expired += n\n", New: "	l.rec.Expired += n\n	first--\n"}))
	if w.play(); len(w.found) == 0 {
		t.Error("a gap with a wrong range was not found out")
	}
}

// TestJumpsFindTimesThatGoBack plays with a server that takes the wall clock as it
// is.
func TestJumpsFindTimesThatGoBack(t *testing.T) {
	c := newClock(t)
	s := drill.NewServer(t, broken(t, mutant.Edit{File: "eventlog/partition.go", Old: "if t.Before(p.accepted) {", New: "if false {"}))
	s.Env = append(s.Env, c.Env())
	s.Start()
	p := drill.NewProducer(t, s)
	p.Post(t.Context(), 50)
	c.Set(-day)
	p.Post(t.Context(), 50)
	drill.Await(t, "a time of acceptance that goes back", func(ctx context.Context) error {
		if found, _ := inspect(ctx, oracle.End{Address: s.URL(), Token: server.AdminToken}, c); !mention(found, "is found after") {
			return fmt.Errorf("not found out: %q", found)
		}
		return nil
	})
}

// mention reports whether one of the findings has some words in it.
func mention(findings []string, words string) bool {
	for _, f := range findings {
		if strings.Contains(f, words) {
			return true
		}
	}
	return false
}
