//go:build linux && amd64

package clock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/client"
)

// TestPausePastRetention pauses a stream for longer than its events are kept: eight
// days that pass while the server does not run, day by day. The loss has to be
// announced at 50, 80 and 95 percent of the time, to be told with its exact range,
// and to be in the ledger; what is left has to be delivered when the stream goes on.
func TestPausePastRetention(t *testing.T) {
	t.Parallel()
	w := &paused{t: t}
	fault.Keep(t, w.record)
	w.begin(made.Binary(t))
	w.play()
	for _, f := range w.found {
		t.Error(f)
	}
}

func (w *paused) record() fault.Record {
	return fault.Record{
		Drill:    "Pause past retention",
		What:     "A stream is paused for longer than its events are kept, then resumed. Compared: the announcements at 50, 80 and 95 percent of the time, the range that the gap tells, the ledger, and every event that was not lost.",
		Command:  "go test ./bench/clock -run TestPausePastRetention",
		Faults:   []fault.Count{{Name: "days paused", Count: 8}, {Name: "events expired", Count: int64(w.lost)}},
		Judged:   []fault.Count{{Name: "events", Count: int64(w.producer.Acked())}},
		Findings: w.found,
	}
}

// paused is a server with a stream that is paused and one that is not.
type paused struct {
	t                *testing.T
	clock            *Clock
	server           *drill.Server
	producer         *drill.Producer
	witness, sleeper *drill.Receiver
	apart            int // of the server's own events, those before the second stream
	lost             uint64
	found            []string
}

// begin starts the server and makes the streams.
func (w *paused) begin(binary string) {
	t := w.t
	t.Helper()
	w.clock, w.witness, w.sleeper = newClock(t), drill.NewReceiver(t, "witness"), drill.NewReceiver(t, "sleeper")
	w.server = drill.NewServer(t, binary, "--retention-audit", "1h", "--retention-git", "1h")
	w.server.Env = append(w.server.Env, w.clock.Env())
	w.server.Start()
	w.producer = drill.NewProducer(t, w.server)
	w.witness.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
	w.sleeper.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
}

func (w *paused) find(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

// story is an event that the server wrote about a stream.
type story struct {
	Type    string          `json:"event_type"`
	Target  json.RawMessage `json:"target_id"`
	Details struct {
		Partition string `json:"partition"`
		First     uint64 `json:"first_seq"`
		Last      uint64 `json:"last_seq"`
		Events    uint64 `json:"events"`
		Percent   int    `json:"percent_of_time"`
	} `json:"details"`
}

// stories returns what was told of the sleeper, of one type, in one partition.
func (w *paused) stories(kind, partition string) (list []story) {
	for _, text := range w.witness.Stories() {
		var s story
		if json.Unmarshal(text, &s) == nil && s.Type == kind && string(s.Target) == fmt.Sprint(w.sleeper.ID) && s.Details.Partition == partition {
			list = append(list, s)
		}
	}
	return list
}

// play is the whole drill. Half of the way it looks at the audit events alone, for
// those of Git fill no segment.
func (w *paused) play() {
	ctx := w.t.Context()
	w.producer.Post(ctx, 100)
	w.settled(w.witness, w.sleeper)
	w.apart = w.witness.Held().Own - w.sleeper.Held().Own
	if err := w.server.Admin.PauseStream(ctx, w.sleeper.ID); err != nil {
		w.t.Fatal(err)
	}
	before := w.producer.Acked()
	w.producer.Post(ctx, 12_000) // more than a segment of audit events
	for i, percent := range []int{50, 80, 95} {
		w.at(time.Duration(percent+1) * 8 * day / 100)
		drill.Await(w.t, fmt.Sprintf("the announcement at %d percent", percent), func(context.Context) error {
			var got []int
			for _, s := range w.stories("stream.gap_expected", "audit") {
				got = append(got, s.Details.Percent)
			}
			if !slices.Equal(got, []int{50, 80, 95}[:i+1]) {
				return fmt.Errorf("told: %v", got)
			}
			return nil
		})
	}
	w.ledger(func(l sluice.Ledger) error {
		if l.Expired > 0 {
			w.find("before the time is over: %+v", l)
		}
		return nil
	})
	w.at(8*day + time.Hour)
	w.ledger(func(l sluice.Ledger) error {
		if l.Expired == 0 {
			return fmt.Errorf("nothing has expired: %+v", l)
		}
		return nil
	})
	drill.Await(w.t, "the event of the gap", func(context.Context) error {
		if len(w.stories("stream.gap", "audit")) == 0 {
			return errors.New("it has not come")
		}
		return nil
	})
	if err := w.server.Admin.ResumeStream(ctx, w.sleeper.ID); err != nil {
		w.t.Fatal(err)
	}
	w.producer.Post(ctx, 100)
	w.settled(w.witness, w.sleeper)
	w.judge(before)
}

// at lets the server stand still until some time after the pause.
func (w *paused) at(after time.Duration) {
	w.t.Helper()
	w.server.Stop()
	w.clock.Set(after)
	w.server.Start()
}

// ledger waits until the sleeper's ledger is as it should be.
func (w *paused) ledger(try func(sluice.Ledger) error) {
	w.t.Helper()
	drill.Await(w.t, "the ledger", func(ctx context.Context) error {
		s, err := w.server.Admin.Stream(ctx, w.sleeper.ID)
		if err != nil {
			return err
		}
		if !s.Ledger.Balanced() {
			w.find("the ledger is wrong: %+v", s.Ledger)
		}
		return try(s.Ledger)
	})
}

// settled waits until nothing is pending.
func (w *paused) settled(list ...*drill.Receiver) {
	w.t.Helper()
	for _, r := range list {
		drill.Await(w.t, r.Name+" to have everything", func(ctx context.Context) error {
			s, err := w.server.Admin.Stream(ctx, r.ID)
			if err == nil && s.Ledger.Pending > 0 {
				err = fmt.Errorf("%s: %+v", s.Status, s.Ledger)
			}
			return err
		})
		w.found = append(w.found, r.Wrong()...)
	}
}

// judge compares what was told with what has not arrived. Everything in the audit
// partition since the pause belongs to the stream.
func (w *paused) judge(before int) {
	acked := w.producer.Acked()
	if missing := w.witness.Missing(0, acked); len(missing) > 0 {
		w.find("lost at the stream that was not paused: %v", missing)
	}
	var told uint64
	for _, partition := range []string{"audit", "git"} {
		for _, s := range w.stories("stream.gap", partition) {
			told += s.Details.Events
			if got := s.Details.Last - s.Details.First + 1; got != s.Details.Events {
				w.find("a gap from %d to %d has %d events", s.Details.First, s.Details.Last, s.Details.Events)
			}
		}
	}
	missing, back := 0, 0 // events of the producer; those that arrived before one that did not
	for n := range acked {
		switch {
		case w.sleeper.Has(n) && !drill.Git(n):
			if n >= before {
				back++
			}
		case !w.sleeper.Has(n):
			missing++
			if n < before || back > 0 && !drill.Git(n) {
				w.find("event %d is lost, and what was accepted before it is not", n)
			}
		}
	}
	own := w.witness.Held().Own - w.sleeper.Held().Own - w.apart // lost, too
	s, err := w.server.Admin.Stream(w.t.Context(), w.sleeper.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lost = s.Ledger.Expired
	if s.Ledger.Expired != told || told != uint64(missing+own) {
		w.find("%d events expired, %d were told, %d of the producer and %d of the server's own have not arrived", s.Ledger.Expired, told, missing, own)
	}
	held := w.sleeper.Held()
	if got := uint64(held.Events + held.Own); s.Ledger.Delivered != got {
		w.find("%d were delivered, %d have arrived", s.Ledger.Delivered, got)
	}
}
