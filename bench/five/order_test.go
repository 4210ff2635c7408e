package five

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/client"
)

// position is where an event is in the log.
type position struct {
	partition string
	seq       uint64
}

// judgeOrder looks whether the events of each partition came first in the order of
// the log, whatever was repeated. Webhooks are left out: those of single events run
// 16 at a time. Nothing was taken out of quarantine yet, which comes late.
func (w *world) judgeOrder(t *testing.T) {
	t.Helper()
	log := w.readLog(t)
	for _, r := range w.receivers {
		if r.kind != kindHTTP {
			r.shelf.inOrder(log)
		}
	}
}

// readLog returns the positions of all events by id.
func (w *world) readLog(t *testing.T) map[string]position {
	t.Helper()
	log := map[string]position{}
	drill.Await(t, "every event to be found", func(ctx context.Context) error {
		clear(log)
		wrong := oracle.Found(ctx, w.server.Admin, "", func(e *client.FoundEvent) {
			var head struct {
				ID string `json:"id"`
			}
			_ = json.Unmarshal(e.Event, &head) // what has no id is missing below
			log[head.ID] = position{e.Partition, e.Seq}
		})
		if want := events + w.book.ownCount(); len(wrong) > 0 || len(log) < want {
			return fmt.Errorf("got %d events, want %d: %q", len(log), want, wrong)
		}
		return nil
	})
	return log
}

// inOrder compares the order of the first arrivals with the log.
func (s *shelf) inOrder(log map[string]position) {
	s.mu.Lock()
	order := slices.Clone(s.order)
	s.mu.Unlock()
	last := map[string]uint64{}
	for _, id := range order {
		at, ok := log[id]
		switch {
		case !ok:
			s.book.find("%s: event %s is not in the log", s.kind, id)
		case at.seq < last[at.partition]:
			s.book.find("%s: event %s, %d in %s, came first after %d", s.kind, id, at.seq, at.partition, last[at.partition])
		default:
			last[at.partition] = at.seq
		}
	}
}
