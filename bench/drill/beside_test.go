package drill_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

const (
	healthyStreams = 18
	// slowAnswer is how long the slow destination takes for each request.
	slowAnswer = 400 * time.Millisecond
	// inTime is when healthy destinations have to have everything after the last
	// answer to a producer. That takes milliseconds; the rest is for busy machines.
	inTime = server.Patience
)

// TestDeadAndSlowDestinations has 18 healthy destinations beside one that breaks
// every connection and one that answers slowly, while the server is killed. The
// healthy ones have to get everything in time; the dead one comes back in the end
// and has to get everything, too.
func TestDeadAndSlowDestinations(t *testing.T) {
	t.Parallel()
	w := &neighbours{t: t, seed: fault.Seed(t, *seedFlag)}
	fault.Keep(t, w.record)
	w.play(made.Binary(t), *killsFlag)
	for _, f := range w.found {
		t.Error(f)
	}
}

func (w *neighbours) record() fault.Record {
	return fault.Record{
		Drill:   "Dead and slow destinations",
		What:    "One destination breaks every connection and one answers slowly, beside 18 healthy ones, and the server is killed. Compared: whether the healthy ones have everything meanwhile, and how soon, what the dead one's account says meanwhile, and each event at all of them after it has come back.",
		Command: fmt.Sprintf("go test ./bench/drill -run TestDeadAndSlow -args -kills %d -seed %d", *killsFlag, w.seed),
		Seeds:   fmt.Sprint(w.seed),
		Faults:  []fault.Count{{Name: "kills", Count: int64(*killsFlag)}, {Name: "dead destinations", Count: 1}, {Name: "slow destinations", Count: 1}},
		Judged: []fault.Count{{Name: "events", Count: int64(w.producer.Acked())}, {Name: "streams", Count: healthyStreams + 2},
			{Name: "ms until the healthy had everything, at most", Count: w.slowest.Milliseconds()}},
		Findings: w.found,
	}
}

// neighbours are the destinations beside each other.
type neighbours struct {
	t          *testing.T
	seed       uint64
	server     *drill.Server
	producer   *drill.Producer
	healthy    []*drill.Receiver
	dead, slow *drill.Receiver
	slowest    time.Duration // until the healthy had everything
	found      []string
}

// play is the whole drill.
func (w *neighbours) play(binary string, kills int) {
	t := w.t
	t.Helper()
	w.server, w.dead, w.slow = drill.NewServer(t, binary), drill.NewReceiver(t, "dead"), drill.NewReceiver(t, "slow")
	rng := rand.New(rand.NewPCG(w.seed, 3))
	w.server.Start()
	w.producer = drill.NewProducer(t, w.server)
	for i := range healthyStreams {
		w.healthy = append(w.healthy, drill.NewReceiver(t, fmt.Sprintf("healthy-%d", i)))
	}
	w.dead.Set(drill.Mode{Dead: true})
	w.slow.Set(drill.Mode{Delay: slowAnswer})
	for _, r := range append(w.healthy[:healthyStreams:healthyStreams], w.dead, w.slow) {
		r.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
	}
	for range kills {
		stop := background(t, w.producer)
		server.Pause(t.Context(), time.Duration(300+rng.IntN(500))*time.Millisecond)
		stop()
		w.timely()
		stop = background(t, w.producer)
		server.Pause(t.Context(), time.Duration(200+rng.IntN(300))*time.Millisecond)
		w.server.Kill()
		stop()
		w.server.Start()
		w.producer.Post(t.Context(), 10)
		w.timely()
	}
	w.dead.Set(drill.Mode{})
	w.slow.Set(drill.Mode{})
	all := append(w.healthy[:healthyStreams:healthyStreams], w.dead, w.slow)
	w.found = append(w.found, settled(t, w.server, all...)...)
	w.found = append(w.found, whole(t, w.server, w.producer.Acked(), all...)...)
	w.found = append(w.found, w.producer.Wrong()...)
}

// timely waits until the healthy have everything, at most so long, and looks at the
// account of the dead one. Nothing is posted meanwhile.
func (w *neighbours) timely() {
	w.t.Helper()
	acked, began := w.producer.Acked(), time.Now()
	for late := true; late; {
		late = false
		for _, r := range w.healthy {
			if len(r.Missing(0, acked)) > 0 {
				late = true
			}
		}
		if late && time.Since(began) > inTime {
			w.found = append(w.found, fmt.Sprintf("a healthy destination has not got everything after %v beside a dead and a slow one", inTime))
			return
		}
		server.Pause(w.t.Context(), 10*time.Millisecond)
	}
	w.slowest = max(w.slowest, time.Since(began))
	drill.Await(w.t, "the account of the dead destination", func(ctx context.Context) error {
		v, err := w.server.Admin.Stream(ctx, w.dead.ID)
		if err != nil {
			return err
		}
		if l := v.Ledger; !l.Balanced() || l.Pending != l.Accepted || l.Pending < uint64(acked) {
			w.found = append(w.found, fmt.Sprintf("the dead destination has %+v after %d events", l, acked))
		}
		return nil
	})
}
