package drill_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// TestChangesInFlight changes streams while their batches are in flight, and the
// destinations hang, are slow or refuse: the token that a destination wants and the
// stream's, the keys that seal secrets, filters, pauses, deletions; the server is
// killed in between.
func TestChangesInFlight(t *testing.T) {
	t.Parallel()
	w := newFlight(t, fault.Seed(t, *seedFlag))
	fault.Keep(t, w.record)
	w.play(made.Binary(t), *roundsFlag)
	for _, f := range w.found {
		t.Error(f)
	}
}

func (w *flight) record() fault.Record {
	return fault.Record{
		Drill:   "Changes in flight",
		What:    "While batches are in flight and their destinations hang, answer slowly or refuse, tokens are rotated and the old ones refused, sealing keys rotated and pruned, filters changed, streams paused, resumed and deleted, and the server is killed. Compared: every event at every stream, ledgers, that the old token is not used any more, and that a deleted stream sends nothing.",
		Command: fmt.Sprintf("go test ./bench/drill -run TestChangesInFlight -args -rounds %d -seed %d", *roundsFlag, w.seed),
		Seeds:   fmt.Sprint(w.seed),
		Faults: []fault.Count{{Name: "rounds", Count: int64(*roundsFlag)}, {Name: "kills", Count: int64(w.kills)}, {Name: "tokens rotated", Count: int64(w.tokens)},
			{Name: "streams deleted", Count: int64(w.deleted)}},
		Judged:   []fault.Count{{Name: "events", Count: int64(w.producer.Acked())}, {Name: "streams", Count: int64(4 + w.deleted)}},
		Findings: w.found,
	}
}

// flight is a server whose streams are changed.
type flight struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand
	server   *drill.Server
	producer *drill.Producer
	// What each is for says its name. The first takes everything and is healthy.
	witness, rotating, filtering, pausing *drill.Receiver
	tokens, kills, deleted                int
	exclude                               bool
	found                                 []string
}

func (w *flight) find(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

func newFlight(t *testing.T, seed uint64) *flight {
	return &flight{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 4))}
}

// play is the whole drill.
func (w *flight) play(binary string, rounds int) {
	t := w.t
	t.Helper()
	w.server = drill.NewServer(t, binary)
	w.server.Start()
	w.producer = drill.NewProducer(t, w.server)
	w.witness, w.rotating, w.filtering, w.pausing = drill.NewReceiver(t, "witness"), drill.NewReceiver(t, "rotating"), drill.NewReceiver(t, "filtering"), drill.NewReceiver(t, "pausing")
	for _, r := range []*drill.Receiver{w.witness, w.filtering, w.pausing} {
		r.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
	}
	w.filtering.Loosen()
	w.rotating.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, map[string]any{"headers": []any{w.header()}})
	w.rotating.Demand("Authorization: " + w.bearer())
	for range rounds {
		w.round()
	}
	w.end()
}

func (w *flight) bearer() string { return fmt.Sprintf("Bearer token-%d", w.tokens) }

func (w *flight) header() map[string]any {
	return map[string]any{"name": "Authorization", "value": w.bearer(), "active": true}
}

// round brings batches into flight, changes everything, and kills the server at
// some moment of it.
func (w *flight) round() {
	t := w.t
	doomed := drill.NewReceiver(t, fmt.Sprintf("doomed-%d", w.deleted))
	doomed.Create(w.server, client.StreamSpec{Namespace: drill.Namespace}, nil)
	for _, r := range []*drill.Receiver{w.rotating, w.filtering, w.pausing, doomed} {
		modes := []drill.Mode{{Hang: true}, {Delay: 300 * time.Millisecond}, {Status: http.StatusServiceUnavailable}}
		r.Set(modes[w.rng.IntN(len(modes))])
	}
	stop := background(t, w.producer)
	server.Pause(t.Context(), 100*time.Millisecond) // for batches to be in flight
	deeds := []func(){w.rotateToken, w.rotateKeys, w.changeFilter, w.pauseAndResume, func() { w.remove(doomed) }}
	w.rng.Shuffle(len(deeds), func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })
	killAt := w.rng.IntN(2 * len(deeds)) // half of the rounds have none
	for i, do := range deeds {
		do()
		if i == killAt {
			w.server.Kill()
			w.kills++
			w.server.Start()
		}
		server.Pause(t.Context(), time.Duration(w.rng.IntN(60))*time.Millisecond)
	}
	for _, r := range []*drill.Receiver{w.rotating, w.filtering, w.pausing} {
		r.Set(drill.Mode{})
	}
	stop()
	w.producer.Post(t.Context(), 20)
	w.found = append(w.found, settled(t, w.server, w.witness, w.rotating, w.filtering, w.pausing)...)
	w.gone(doomed)
}

// rotateToken has the destination refuse the old token, then gives the stream the
// new one.
func (w *flight) rotateToken() {
	w.tokens++
	w.rotating.Demand("Authorization: " + w.bearer())
	server.Pause(w.t.Context(), time.Duration(w.rng.IntN(40))*time.Millisecond)
	w.patch(w.rotating, map[string]any{"config": map[string]any{"url": w.rotating.URL(), "format": "ndjson", "headers": []any{w.header()}}})
}

// rotateKeys makes a new sealing key, and removes the old one as soon as nothing
// needs it.
func (w *flight) rotateKeys() {
	ctx := w.t.Context()
	if _, err := w.server.Admin.RotateKeys(ctx); err != nil {
		w.find("rotate keys: %v", err)
	}
	drill.Await(w.t, "everything to be sealed with the new key", func(ctx context.Context) error {
		keys, err := w.server.Admin.SealingKeys(ctx)
		if err == nil && keys.Pending > 0 {
			err = fmt.Errorf("%+v", keys)
		}
		return err
	})
	if _, err := w.server.Admin.PruneKeys(ctx); err != nil {
		w.find("prune keys: %v", err)
	}
}

// changeFilter leaves pushes out, or takes them again.
func (w *flight) changeFilter() {
	w.exclude = !w.exclude
	excluded := []string{}
	if w.exclude {
		excluded = []string{"git.push"}
	}
	w.patch(w.filtering, map[string]any{"filter": map[string]any{"event_types": []string{}, "excluded_event_types": excluded, "namespaces": []string{}}})
}

// pauseAndResume pauses a stream; nothing may arrive meanwhile but what was under
// way.
func (w *flight) pauseAndResume() {
	ctx := w.t.Context()
	if err := w.server.Admin.PauseStream(ctx, w.pausing.ID); err != nil {
		w.find("pause: %v", err)
	}
	w.pausing.Set(drill.Mode{})
	err := server.Await(ctx, server.Patience, "a paused stream to rest", func(ctx context.Context) error {
		before := w.pausing.Held().Arrivals
		server.Pause(ctx, 200*time.Millisecond)
		if after := w.pausing.Held().Arrivals; after != before {
			return fmt.Errorf("it has delivered %d events in 200 ms", after-before)
		}
		return nil
	})
	if err != nil {
		w.find("%v", err)
	}
	if err := w.server.Admin.ResumeStream(ctx, w.pausing.ID); err != nil {
		w.find("resume: %v", err)
	}
}

func (w *flight) patch(r *drill.Receiver, change map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(change)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.server.Admin.UpdateStream(w.t.Context(), r.ID, body); err != nil {
		w.find("change %s: %v", r.Name, err)
	}
}

// remove deletes a stream and lets its destination take everything: nothing may
// come any more.
func (w *flight) remove(r *drill.Receiver) {
	w.deleted++
	if err := w.server.Admin.DeleteStream(w.t.Context(), r.ID); err != nil {
		w.find("delete %s: %v", r.Name, err)
	}
	r.Set(drill.Mode{Delay: time.Millisecond})
}

// gone looks at a deleted stream: its last event tells an account that adds up, and
// nothing has come since.
func (w *flight) gone(r *drill.Receiver) {
	before := r.Held().Arrivals
	var told *told
	drill.Await(w.t, "the event of the deletion", func(context.Context) error {
		told = tellsDeletion(w.witness, r)
		if told == nil {
			return fmt.Errorf("%d own events", w.witness.Held().Own)
		}
		return nil
	})
	l := told.Details.Ledger
	if sum := l.Delivered + l.Filtered + l.Pending + l.Quarantined + l.Expired; sum != l.Accepted {
		w.find("%s: the final account does not add up: %+v", r.Name, l)
	}
	held := r.Held()
	if distinct := uint64(held.Events + held.Own); l.Delivered > distinct || distinct > l.Delivered+l.Pending {
		w.find("%s: the final account is %+v, and %d events arrived", r.Name, l, distinct)
	}
	if held.Arrivals != before {
		w.find("%s: %d events came after the deletion", r.Name, held.Arrivals-before)
	}
}

// told is an event that the server wrote about a stream.
type told struct {
	Type    string          `json:"event_type"`
	Target  json.RawMessage `json:"target_id"`
	Details struct {
		FirstSeq  uint64 `json:"first_seq"`
		LastSeq   uint64 `json:"last_seq"`
		Events    uint64 `json:"events"`
		Partition string `json:"partition"`
		Percent   int    `json:"percent_of_time"`
		Ledger    struct {
			Accepted, Delivered, Filtered, Pending, Quarantined, Expired uint64
		} `json:"ledger"`
	} `json:"details"`
}

func tellsDeletion(witness, r *drill.Receiver) *told {
	for _, story := range witness.Stories() {
		var e told
		if json.Unmarshal(story, &e) == nil && e.Type == "stream.delete" && string(e.Target) == fmt.Sprint(r.ID) {
			return &e
		}
	}
	return nil
}

// end judges what became of everything.
func (w *flight) end() {
	acked := w.producer.Acked()
	w.found = append(w.found, whole(w.t, w.server, acked, w.witness, w.rotating, w.pausing)...)
	refused := w.rotating.Held().Refused
	w.producer.Post(w.t.Context(), 50)
	w.found = append(w.found, settled(w.t, w.server, w.rotating, w.filtering)...)
	if again := w.rotating.Held().Refused; again != refused {
		w.find("an old token was used %d times after it was replaced", again-refused)
	}
	v, err := w.server.Admin.Stream(w.t.Context(), w.filtering.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	git := 0
	for n := range acked {
		switch {
		case drill.Git(n) && w.filtering.Has(n):
			git++
		case !drill.Git(n) && !w.filtering.Has(n):
			w.find("filtering: event %d is lost, which every filter wants", n)
		}
	}
	held, l := w.filtering.Held(), v.Ledger
	// What arrived before a kill and was judged anew by the next filter counts as
	// filtered.
	if distinct := uint64(held.Events + held.Own); !l.Balanced() || l.Expired+l.Quarantined > 0 || l.Delivered > distinct || l.Delivered+uint64(git) < distinct {
		w.find("filtering: the ledger is wrong: got %+v, %d events arrived, %d of them pushes", l, distinct, git)
	}
	w.found = append(w.found, w.producer.Wrong()...)
}
