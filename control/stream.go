package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
)

const (
	streamRecords = "stream/"
	targetStream  = "Stream"
)

// Secrets that control itself knows; all others belong to their kind alone.
const (
	verificationToken = "verification_token"
	signingSecret     = "signing_secret"
	previousSecret    = "previous_signing_secret"
	previousUntil     = "previous_signing_secret_until"
)

// streamRecord is the durable state of a stream, as far as people decide it.
type streamRecord struct {
	ID        sluice.StreamID `json:"id"`
	Namespace string          `json:"namespace"` // top-level, as declared; "" is the instance
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	// Config is canonical, without header values.
	Config json.RawMessage `json:"config,omitempty"`
	// Sealed holds the secrets and the header values: see Service.seal.
	Sealed fields[string] `json:"sealed,omitempty"`
	Filter sluice.Filter  `json:"filter"`
	// Start holds the positions that StartAs meant when the stream was created.
	Start    fields[deliver.Start] `json:"start"`
	StartAs  string                `json:"start_as"`
	Until    time.Time             `json:"until,omitzero"`
	Strict   bool                  `json:"strict"`
	Active   bool                  `json:"active"`
	PausedAt time.Time             `json:"paused_at,omitzero"`
	Created  time.Time             `json:"created_at"`
	Version  uint64                `json:"version"`             // grows with each change
	Changed  time.Time             `json:"changed_at,omitzero"` // by the last change; zero before the first
	Slot     int                   `json:"slot"`                // its number among those of the namespace
	Numbers  numbers               `json:"numbers,omitzero"`
	// Verification is the digest of the verification token, by which the claim on
	// it is found when the token itself is destroyed.
	Verification string `json:"verification,omitempty"`
	// Copied is that digest in a copy of a stream, which has the token of its source
	// and no claim on it.
	Copied string `json:"copied_verification,omitempty"`
	// Deleting is set when the stream is being deleted; its secrets are gone.
	Deleting *deletion `json:"deleting,omitempty"`
	// Health is what was told about the deliveries, and the last check.
	Health *healthRecord `json:"health,omitempty"`
	// Ended: delivery has forgotten the stream; only its last event is left.
	Ended bool `json:"ended,omitempty"`
	outbox
}

// deletion is what is to be told when a stream is gone.
type deletion struct {
	By     Principal     `json:"by"`
	Number int64         `json:"number"`
	Ledger sluice.Ledger `json:"ledger"` // the last one: delivery had stopped
}

func (r *streamRecord) gone() bool { return r.Ended }

func (r *streamRecord) scope() string { return sluice.FoldNamespace(r.Namespace) }

func (r *streamRecord) nameClaim() string { return r.scope() + "/" + r.Name }

func (r *streamRecord) title() string {
	if r.Name != "" {
		return r.Name
	}
	return "stream " + strconv.FormatInt(int64(r.ID), 10)
}

func streamKey(id sluice.StreamID) string {
	return streamRecords + strconv.FormatInt(int64(id), 10)
}

// stream is a stream in memory.
type stream struct {
	id sluice.StreamID
	// changing holds a value while the stream is changed, so that delivery gets
	// the versions in their order.
	changing chan struct{}
	rec      atomic.Pointer[streamRecord] // as last stored; never changed in place
	// broken: delivery may not know the record, or the record is not known; see
	// Service.repair.
	broken atomic.Bool
	// unsure: a deletion failed, and may be stored all the same. Delivery is halted.
	unsure atomic.Bool
}

func newStream(r *streamRecord) *stream {
	st := &stream{id: r.ID, changing: make(chan struct{}, 1)}
	st.keep(r)
	return st
}

// keep takes r as the stream's record. What it has to tell is read from the store
// only.
func (st *stream) keep(r *streamRecord) {
	kept := *r
	kept.outbox = outbox{}
	kept.number(&kept) // a record of an earlier version has no numbers
	kept.compact()
	st.rec.Store(&kept)
}

// compact puts the words of a record that is to be kept into one piece of memory: with
// thousands of streams the collector looks through all of them, again and again.
func (r *streamRecord) compact() {
	r.Sealed, r.Start = slices.Clone(r.Sealed), slices.Clone(r.Start)
	words := []*string{&r.Namespace, &r.Name, &r.Kind, &r.StartAs, &r.Verification, &r.Copied}
	for i := range r.Sealed {
		words = append(words, &r.Sealed[i].name, &r.Sealed[i].value)
	}
	for i := range r.Start {
		words = append(words, &r.Start[i].name)
	}
	var all strings.Builder
	for _, w := range words {
		all.WriteString(*w)
	}
	rest := strings.Clone(all.String())
	for _, w := range words {
		n := len(*w)
		*w, rest = rest[:n], rest[n:]
	}
}

func (st *stream) record() *streamRecord { return st.rec.Load() }

// acquire waits until nobody else changes the stream; free ends that.
func (st *stream) acquire(ctx context.Context) (free func(), err error) {
	select {
	case st.changing <- struct{}{}:
		return func() { <-st.changing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// streams holds every stream that is not gone.
type streams struct {
	mu    sync.RWMutex
	byID  map[sluice.StreamID]*stream
	count map[string]int // by folded namespace
}

func (t *streams) init() { t.byID, t.count = map[sluice.StreamID]*stream{}, map[string]int{} }

func (t *streams) get(id sluice.StreamID) *stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

func (t *streams) add(st *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[st.id] == nil {
		t.count[st.record().scope()]++
	}
	t.byID[st.id] = st
}

func (t *streams) remove(id sluice.StreamID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.byID[id]
	if st == nil {
		return
	}
	delete(t.byID, id)
	scope := st.record().scope()
	if t.count[scope]--; t.count[scope] == 0 {
		delete(t.count, scope)
	}
}

// list returns the streams in the order of their ids.
func (t *streams) list() []*stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := slices.Collect(maps.Values(t.byID))
	slices.SortFunc(out, func(a, b *stream) int { return int(a.id - b.id) })
	return out
}

// haveCopy reports whether a stream of the same namespace is a copy with the
// verification token of r. The source of the copy may be gone.
func (t *streams) haveCopy(r *streamRecord) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, st := range t.byID {
		if other := st.record(); other.Copied == r.Verification && other.scope() == r.scope() {
			return true
		}
	}
	return false
}

// in returns the number of streams of a namespace.
func (t *streams) in(scope string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count[scope]
}

func (s *Service) loadStreams(ctx context.Context) error {
	for r, err := range s.store.List(ctx, streamRecords) {
		if err != nil {
			return err
		}
		rec := new(streamRecord)
		if err := json.Unmarshal(r.Value, rec); err != nil {
			return fmt.Errorf("read record %q: %w", r.Key, err)
		}
		if rec.pending() || rec.gone() {
			s.outboxes.wake(r.Key)
		}
		if rec.gone() {
			continue
		}
		st := newStream(rec)
		s.streams.add(st)
		s.apply(ctx, st)
		if rec.Deleting != nil {
			st.broken.Store(true)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// find returns the stream when p may do a with it. One that is being deleted is
// not there any more.
func (s *Service) find(p Principal, a action, id sluice.StreamID) (*stream, error) {
	if err := authorizeSomewhere(p, a); err != nil {
		return nil, err
	}
	st := s.streams.get(id)
	if st == nil || st.record().Deleting != nil {
		return nil, errNotFound()
	}
	if err := authorize(p, a, st.record().scope()); err != nil {
		return nil, err
	}
	return st, nil
}

// apply hands the stream's record to delivery. What delivery does not take now
// it is given again by repair.
func (s *Service) apply(ctx context.Context, st *stream) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	err := s.cfg.Deliver.Put(ctx, s.forDelivery(st))
	st.broken.Store(err != nil)
	if err != nil {
		s.logger.ErrorContext(ctx, "stream not handed to delivery yet", "stream", st.id, "err", err)
	}
}

// forDelivery returns what delivery knows of a stream. A destination is opened
// with the newest secrets: those of r may be sealed with a key that was dropped
// meanwhile.
func (s *Service) forDelivery(st *stream) deliver.Stream {
	r := st.record()
	return deliver.Stream{
		ID: r.ID, Namespace: r.scope(), Title: r.title(), Version: r.Version, Filter: r.Filter, Start: r.Start.asMap(), Until: r.Until,
		Strict: r.Strict, Paused: !r.Active || r.Deleting != nil,
		Open: func() (destination.Destination, error) { return s.open(st.record()) },
	}
}

func (s *Service) open(r *streamRecord) (destination.Destination, error) {
	kind := s.kinds[r.Kind]
	if kind == nil || r.Deleting != nil {
		return nil, fmt.Errorf("stream %d: no destination of kind %q", r.ID, r.Kind)
	}
	config, secrets, err := s.unseal(r)
	if err != nil {
		return nil, err
	}
	return kind.Open(config, secrets, s.env(r.Namespace))
}

// env returns what a destination of a stream of the namespace gets.
func (s *Service) env(namespace string) destination.Env {
	env := s.cfg.Env
	env.Namespace = namespace
	if env.Now == nil {
		env.Now = s.now
	}
	return env
}

// runRepairs finishes what a failure left half done, until ctx ends.
func (s *Service) runRepairs(ctx context.Context) {
	every(ctx, outboxPause, func(ctx context.Context) {
		s.settleDoubts(ctx)
		for _, st := range s.streams.list() {
			if !st.broken.Load() || ctx.Err() != nil {
				continue
			}
			if err := s.repair(ctx, st); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "stream not repaired yet", "stream", st.id, "err", err)
			}
		}
	})
}
