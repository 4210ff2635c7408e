package five

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	record "github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

const producerToken = "five-producer-token-0123456789"

// world is the server, its destinations and the books.
type world struct {
	server    *drill.Server
	receivers []*receiver
	streams   map[string]sluice.StreamID // by kind
	book      *book
	producer  *producer
	requests  []request
	phases    int
	kills     int
}

var (
	roundsFlag = flag.Int("rounds", 1, "how often all five kinds are played")
	binaryFlag = flag.String("binary", "", "the server to judge; built when it is not given")
)

// TestFiveKinds lets each destination refuse, hang, die and come back while
// events are posted, kills the server several times, and judges every event.
func TestFiveKinds(t *testing.T) {
	s := &score{}
	record.Keep(t, s.record)
	for n := range *roundsFlag {
		t.Run(strconv.Itoa(n+1), func(t *testing.T) {
			w := &world{requests: requests(), streams: map[string]sluice.StreamID{}}
			w.book = newBook(w.requests)
			defer s.add(t, w)
			w.play(t)
		})
	}
}

// play plays all kinds once.
func (w *world) play(t *testing.T) {
	for _, start := range []func(*testing.T, *book) *receiver{webhooks, collector, hub, bucket, google} {
		w.receivers = append(w.receivers, start(t, w.book))
	}
	binary := *binaryFlag
	if binary == "" {
		binary = mutant.Test(t, nil)
	}
	w.server = drill.NewServer(t, binary)
	defer w.explain(t)
	w.server.Start()
	w.configure(t)
	for i, r := range w.receivers {
		w.trouble(t, i, r)
		w.back(t, r)
	}
	w.settle(t)
	w.kill(t)
	w.settle(t)
	w.judge(t)
	w.judgeOrder(t)
	w.report(t)
	w.redeliver(t)
}

// configure makes a token and, after a check, the streams.
func (w *world) configure(t *testing.T) {
	t.Helper()
	admin := w.server.Admin
	if _, err := admin.CreateToken(t.Context(), client.TokenSpec{Kind: client.Producer, Namespace: namespace, Token: producerToken}); err != nil {
		t.Fatal(err)
	}
	w.producer = &producer{client: w.server.Client(producerToken), book: w.book}
	for _, r := range w.receivers {
		spec, err := r.stream()
		if err != nil {
			t.Fatal(err)
		}
		if result, err := admin.CheckSpec(t.Context(), spec); err != nil || !result.OK {
			t.Fatalf("check %s: got %v and %+v, want all well", r.kind, err, result.Stages)
		}
		made, err := admin.CreateStream(t.Context(), spec)
		if err != nil {
			t.Fatalf("create %s: %v", r.kind, err)
		}
		w.streams[r.kind] = made.ID
	}
}

// share is how many phases the posts are spread over.
const share = 15

// trouble lets a destination refuse, hang and die while events are posted. In two
// of these phases the server is killed: as soon as half of the phase's events are
// in, and once the fault was felt.
func (w *world) trouble(t *testing.T, turn int, r *receiver) {
	t.Helper()
	for i, f := range []fault{refuse, hang, die} {
		since := time.Now()
		r.set(t, f)
		w.poke(t, r)
		early := func() {}
		if turn%3 == i || r.shelf.once {
			early = func() { w.kill(t) }
		}
		w.phases++
		from, to := len(w.requests)*(w.phases-1)/share, len(w.requests)*w.phases/share
		w.producer.post(t.Context(), w.requests[from:to], early)
		drill.Await(t, fmt.Sprintf("%s to feel %v", r.kind, f), func(ctx context.Context) error { return w.felt(ctx, t, r, f, since) })
		if f == hang {
			w.others(t, r)
		}
		if (turn+1)%3 == i || r.shelf.once {
			w.kill(t)
		}
	}
}

// others waits until all destinations but one have everything.
func (w *world) others(t *testing.T, but *receiver) {
	t.Helper()
	for _, r := range w.receivers {
		if r != but {
			drill.Await(t, fmt.Sprintf("%s to have everything while %s fails", r.kind, but.kind), func(ctx context.Context) error { return w.idle(ctx, r) })
		}
	}
}

// felt returns nil when a fault has met a delivery.
func (w *world) felt(ctx context.Context, t *testing.T, r *receiver, f fault, since time.Time) error {
	if f != refuse {
		if r.felt() == 0 {
			w.poke(t, r)
			return errors.New("no connection has met it")
		}
		return nil
	}
	list, err := w.server.Admin.Attempts(ctx, w.streams[r.kind], 20)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Outcome == "unavailable" && a.Time.After(since) {
			return nil
		}
	}
	return errors.New("no attempt has failed")
}

// kill kills the server and starts it again.
func (w *world) kill(t *testing.T) {
	t.Helper()
	w.server.Kill()
	w.kills++
	w.server.Start()
}

// poke makes a stream that waits for its next try deliver at once, as an owner
// would: by pausing and resuming it.
func (w *world) poke(t *testing.T, r *receiver) {
	t.Helper()
	id := w.streams[r.kind]
	s, err := w.server.Admin.Stream(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.look(r, &s)
	if s.Status == sluice.StatusActive {
		return
	}
	if err := errors.Join(w.server.Admin.PauseStream(t.Context(), id), w.server.Admin.ResumeStream(t.Context(), id)); err != nil {
		t.Fatalf("poke %s: %v", r.kind, err)
	}
}

// pokeEvery is how long a stream may wait for its next try in the end.
const pokeEvery = 500 * time.Millisecond

// back lets a destination come back and waits until nothing is pending.
func (w *world) back(t *testing.T, r *receiver) {
	t.Helper()
	r.set(t, pass)
	w.poke(t, r)
	poked := time.Now()
	drill.Await(t, r.kind+" to come back", func(ctx context.Context) error {
		err := w.idle(ctx, r)
		if err != nil && time.Since(poked) > pokeEvery {
			w.poke(t, r)
			poked = time.Now()
		}
		return err
	})
}

// idle returns nil when a stream is active and nothing waits for it.
func (w *world) idle(ctx context.Context, r *receiver) error {
	s, err := w.server.Admin.Stream(ctx, w.streams[r.kind])
	if err != nil {
		return err
	}
	w.look(r, &s)
	if s.Ledger.Pending > 0 || s.Status != sluice.StatusActive {
		return fmt.Errorf("%s is %s: %+v, health %s", r.kind, s.Status, s.Ledger, s.Health)
	}
	return nil
}

// look compares a ledger with what is known at any moment.
func (w *world) look(r *receiver, s *client.Stream) {
	l := s.Ledger
	arrived, _ := r.shelf.count()
	switch most := uint64(events + 1000); {
	case !l.Balanced() || max(l.Accepted, l.Delivered, l.Pending, l.Quarantined) > most:
		w.book.find("%s: the ledger is not balanced: %+v", r.kind, l)
	case l.Filtered+l.Expired > 0:
		w.book.find("%s: filtered or expired: %+v", r.kind, l)
	case r.refresh == nil && l.Delivered > uint64(arrived):
		w.book.find("%s: %d delivered, and %d have arrived", r.kind, l.Delivered, arrived)
	case l.Quarantined > poisoned(r.kind):
		w.book.find("%s: %d in quarantine, and %d were refused", r.kind, l.Quarantined, poisoned(r.kind))
	case s.Status == sluice.StatusHeld:
		w.book.find("%s: held, and nobody has to act: %s", r.kind, s.Health)
	}
}

// poisoned returns how many events a kind refuses.
func poisoned(kind string) (count uint64) {
	for n := range events {
		if poisonOf(n) == kind {
			count++
		}
	}
	return count
}

// settle waits until every ledger and every receiver says what the books say.
// Until then the server may still be writing events about itself.
func (w *world) settle(t *testing.T) {
	t.Helper()
	if got := w.book.acknowledged(); got != events {
		t.Fatalf("acknowledged: got %d, want %d", got, events)
	}
	drill.Await(t, "ledgers and receivers to be exact", func(ctx context.Context) error {
		for _, r := range w.receivers {
			if r.refresh == nil {
				continue
			}
			if err := r.refresh(ctx); err != nil {
				return err
			}
		}
		for _, r := range w.receivers {
			if err := w.exact(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// exact compares one ledger and one receiver with the books.
func (w *world) exact(ctx context.Context, r *receiver) error {
	s, err := w.server.Admin.Stream(ctx, w.streams[r.kind])
	if err != nil {
		return err
	}
	w.look(r, &s)
	accepted, refused, missing := w.book.expected(r.kind)
	want := sluice.Ledger{Accepted: uint64(len(accepted) + len(refused) + missing), Delivered: uint64(len(accepted)), Quarantined: uint64(len(refused))}
	if r.tolerant.Load() {
		want.Delivered, want.Quarantined = want.Accepted, 0
	}
	if s.Ledger != want {
		return fmt.Errorf("%s is %s: got %+v, want %+v", r.kind, s.Status, s.Ledger, want)
	}
	wrong, example := 0, ""
	judge := func(id string, good bool) {
		if !good {
			wrong, example = wrong+1, id
		}
	}
	for id := range accepted {
		got := r.shelf.has(id)
		judge(id, got == 1 || got > 1 && !r.shelf.once)
	}
	for id := range refused {
		judge(id, (r.shelf.has(id) > 0) == r.tolerant.Load())
	}
	if wrong > 0 || missing > 0 {
		return fmt.Errorf("%s has %d events too often, too seldom or although it refused them, for example %s %d times; %d are nowhere",
			r.kind, wrong, example, r.shelf.has(example), missing)
	}
	return nil
}

// judge compares what every quarantine holds with the books, and looks for
// secrets where none may be.
func (w *world) judge(t *testing.T) {
	t.Helper()
	secrets := []string{server.AdminToken, producerToken}
	for _, r := range w.receivers {
		w.judgeQuarantine(t, r)
		secrets = append(secrets, r.hidden...)
		for _, value := range r.secrets {
			secrets = append(secrets, value)
		}
	}
	found, secrets := w.judgeSurfaces(t, secrets)
	for _, f := range found {
		t.Error(f)
	}
	lookFor(t, "the server's log", w.server.Log(), append(secrets, canary))
	for _, r := range w.receivers {
		lookFor(t, "what the API says about failures of "+r.kind, w.troubles(t, r), append(secrets, canary))
	}
	sealed(t, w.server.Data, secrets)
}

// troubles returns what the API says about a stream's failures.
func (w *world) troubles(t *testing.T, r *receiver) []byte {
	t.Helper()
	s, err := w.server.Admin.Stream(t.Context(), w.streams[r.kind])
	if err != nil {
		t.Fatal(err)
	}
	attempts, err := w.server.Admin.Attempts(t.Context(), w.streams[r.kind], 200)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(s.Health)
	for _, a := range attempts {
		text = append(append(text, '\n'), a.Message...)
	}
	return text
}

func (w *world) judgeQuarantine(t *testing.T, r *receiver) {
	t.Helper()
	list, err := w.server.Admin.Quarantine(t.Context(), w.streams[r.kind], 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, refused, _ := w.book.expected(r.kind)
	if got, want := len(list), len(refused); got != want {
		t.Errorf("%s: quarantine: got %d events, want %d", r.kind, got, want)
	}
	for _, q := range list {
		var event struct {
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal(q.Raw, &event); err != nil {
			t.Fatal(err)
		}
		n, ok := refused[q.ID]
		switch got, want := string(event.Payload), string(makeEvent(n, q.ID)); {
		case !ok:
			t.Errorf("%s: quarantine: event %s was not refused; the reason is %q", r.kind, q.ID, q.Reason)
		case got != want:
			t.Errorf("%s: quarantine: event %s has changed bytes: got %q, want %q", r.kind, q.ID, got, want)
		case !strings.Contains(q.Reason, r.words):
			t.Errorf("%s: quarantine: event %s: got the reason %q, want the words %q", r.kind, q.ID, q.Reason, r.words)
		}
	}
}

// redeliver lets the receivers accept what they refused and takes it out of
// quarantine.
func (w *world) redeliver(t *testing.T) {
	t.Helper()
	for _, r := range w.receivers {
		want := int(poisoned(r.kind))
		if want == 0 {
			continue
		}
		r.tolerant.Store(true)
		got, err := w.server.Admin.Redeliver(t.Context(), w.streams[r.kind], client.QuarantineAct{All: true})
		if err != nil || got != want {
			t.Errorf("%s: redeliver: got %d events and %v, want %d", r.kind, got, err, want)
		}
	}
	w.settle(t)
}

// report tells what was delivered.
func (w *world) report(t *testing.T) {
	t.Helper()
	t.Logf("%d events posted, %d written by the server, %d kills", events, w.book.ownCount(), w.kills)
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', tabwriter.AlignRight)
	defer table.Flush()
	fmt.Fprintln(table, "kind\tdelivered\tduplicates\tquarantined\t")
	for _, r := range w.receivers {
		distinct, duplicates := r.shelf.count()
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t\n", r.kind, distinct, duplicates, poisoned(r.kind))
	}
}

// explain tells what was found.
func (w *world) explain(t *testing.T) {
	t.Helper()
	if words, count := w.book.findings(); count > 0 {
		t.Errorf("%d findings:\n%s", count, strings.Join(words, "\n"))
	}
}
