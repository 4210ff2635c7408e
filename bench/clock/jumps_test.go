//go:build linux && amd64

package clock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

const day = 24 * time.Hour

// TestJumpsUnderLoad lets the oracle judge a server whose clock is set a day ahead
// and a day back again and again, under load and while it does not run, and that
// is killed meanwhile.
func TestJumpsUnderLoad(t *testing.T) {
	t.Parallel()
	result, jumps := jump(t, made.Binary(t), fault.Seed(t, *seedFlag), *cyclesFlag)
	for _, f := range result.Findings {
		t.Error(f)
	}
	if jumps < int64(*cyclesFlag) {
		t.Errorf("jumps: got %d, want one in each life at least", jumps)
	}
}

// jump plays and keeps the record.
func jump(t *testing.T, binary string, seed uint64, cycles int) (oracle.Result, int64) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-clock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
		}
	})
	t.Logf("seed %d, data in %s", seed, dir)
	c := newClock(t)
	var jumps, compared atomic.Int64
	var result oracle.Result
	fault.Keep(t, func() fault.Record {
		return fault.Record{
			Drill:   "Clock jumps",
			What:    "The server's wall clock is set a day ahead and back, several times a second, under load and between its lives; it is killed meanwhile. Compared: every event, every ledger, the times of acceptance, what the search finds, and the minutes of activity.",
			Command: "go test ./bench/clock -run TestJumpsUnderLoad -args -cycles " + fmt.Sprint(cycles) + " -seed " + fmt.Sprint(seed),
			Seeds:   fmt.Sprint(seed),
			Faults:  []fault.Count{{Name: "jumps", Count: jumps.Load()}, {Name: "kills", Count: int64(result.Cycles)}, {Name: "starts", Count: int64(result.Restarts)}},
			Judged: []fault.Count{{Name: "events", Count: int64(result.Acknowledged)}, {Name: "streams", Count: int64(result.Streams)},
				{Name: "times of acceptance", Count: compared.Load()}},
			Findings: result.With(err),
		}
	})
	rng := rand.New(rand.NewPCG(seed, 1))
	result, err = oracle.Run(t.Context(), oracle.Config{
		Binary: binary, Dir: dir, Cycles: cycles, Acknowledged: *eventsFlag, Seed: seed, Report: t.Output(), Env: []string{c.Env()}, Untimed: true,
		Disturb: func(ctx context.Context) {
			for ctx.Err() == nil {
				c.Set([]time.Duration{0, day, -day, 50 * time.Minute, 0, day}[rng.IntN(6)])
				jumps.Add(1)
				server.Pause(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
			}
		},
		Inspect: func(ctx context.Context, end oracle.End) []string {
			c.Set(0)
			found, n := inspect(ctx, end, c)
			compared.Add(int64(n))
			return found
		},
	})
	if err != nil {
		t.Error(err)
	}
	return result, jumps.Load()
}

// inspect looks at what the oracle does not: the order of acceptance, the search,
// and activity.
func inspect(ctx context.Context, end oracle.End, c *Clock) (found []string, compared int) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	api, err := client.New(client.Config{Server: strings.TrimSuffix(end.Address, "/"), Token: end.Token})
	if err != nil {
		return []string{err.Error()}, 0
	}
	defer api.Close()
	wrong := oracle.Found(ctx, api, "", func(e *client.FoundEvent) {
		compared++
		if ahead := time.Until(e.AcceptedAt); ahead > day+time.Minute || ahead < -day-time.Hour {
			say("%s: %d was accepted at %v", e.Partition, e.Seq, e.AcceptedAt)
		}
	})
	found = append(found, wrong...)
	if compared != end.Events {
		say("%d events are found, %d were accepted", compared, end.Events)
	}
	for _, id := range end.Streams {
		list, err := api.Activity(ctx, sluice.StreamID(id), 7*24*60)
		if err != nil {
			say("activity: %v", err)
		}
		if len(list) > maxMinutes {
			say("stream %d has %d minutes of activity, want %d or fewer", id, len(list), maxMinutes)
		}
		for _, m := range list {
			if m.Time.After(c.Now().Add(time.Minute)) {
				say("stream %d has activity of a minute to come: %v", id, m)
			}
		}
	}
	return found, compared
}

// maxMinutes bounds the minutes of activity: those of four clocks, of a run that
// lasts some minutes.
const maxMinutes = 120
