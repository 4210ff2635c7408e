package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// Stream is a stream as its owners see it.
type Stream struct {
	ID        sluice.StreamID `json:"id"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Config    json.RawMessage `json:"config"`
	// Secrets says "set" for each secret that is there and can be read.
	Secrets map[string]string `json:"secrets"`
	// VerificationToken is shown because receivers compare it.
	VerificationToken string        `json:"verification_token,omitempty"`
	Filter            sluice.Filter `json:"filter"`
	Start             string        `json:"start"`
	Until             *time.Time    `json:"until"`
	Strict            bool          `json:"strict"`
	Active            bool          `json:"active"`
	PausedAt          *time.Time    `json:"paused_at"`
	Status            sluice.Status `json:"status"`
	Health            Health        `json:"health"`
	Ledger            sluice.Ledger `json:"ledger"`
	Lanes             []Lane        `json:"lanes"`
	CreatedAt         time.Time     `json:"created_at"`
	UpdatedAt         time.Time     `json:"updated_at"` // of the last change
	Version           uint64        `json:"version"`    // grows with each change
	// HeaderNumbers and NamespaceNumbers tell the headers of the configuration and
	// the namespaces of the filter apart, one for each. They stay when others come
	// and go, and when a part gets another name.
	HeaderNumbers    []int64 `json:"-"`
	NamespaceNumbers []int64 `json:"-"`
}

// Health says how a stream's deliveries fare.
type Health struct {
	LastSuccess *time.Time `json:"last_success"`
	LastError   *Failure   `json:"last_error"`
	NextRetry   *time.Time `json:"next_retry"`
	Trying      *Trying    `json:"trying"` // the try under way that began first
	LagEvents   uint64     `json:"lag_events"`
	LagSeconds  float64    `json:"lag_seconds"` // age of the oldest pending event
	// State is what was told last: "failing", "held", or "ok". It follows the
	// status with a delay, so that what comes and goes at once tells nobody.
	State     string     `json:"state"`
	Since     *time.Time `json:"since"`      // of the first failure, while State is not "ok"
	LastCheck *LastCheck `json:"last_check"` // scheduled, or by a person
}

// LastCheck is the outcome of the last check.
type LastCheck struct {
	Time        time.Time `json:"time"`
	OK          bool      `json:"ok"`
	FailedStage string    `json:"failed_stage,omitempty"`
	Message     string    `json:"message,omitempty"`
}

// complete adds what the stream's record says.
func (h *Health) complete(r *streamRecord) {
	fares := r.fares()
	if h.State = string(fares.State); h.State == "" {
		h.State = "ok"
	}
	h.Since = timeOrNil(fares.Since)
	if c := fares.Check; c != nil {
		h.LastCheck = &LastCheck{Time: c.Time, OK: c.OK, FailedStage: c.Stage, Message: c.Message}
	}
}

// Failure is a failed delivery.
type Failure struct {
	Time    time.Time `json:"time"`
	Class   string    `json:"class"`
	Status  int       `json:"status,omitempty"`
	Message string    `json:"message"`
	Tries   int       `json:"tries,omitempty"` // in a row
}

// Trying is a try that is under way.
type Trying struct {
	Since  time.Time `json:"since"`
	Events int       `json:"events"`
}

// Lane is a stream's delivery through one partition.
type Lane struct {
	Partition string        `json:"partition"`
	Status    sluice.Status `json:"status"`
	Ledger    sluice.Ledger `json:"ledger"`
	Cursor    uint64        `json:"cursor"`
	Behind    *time.Time    `json:"behind_since"`
	LastError *Failure      `json:"last_error"`
	NextRetry *time.Time    `json:"next_retry"`
	Trying    *Trying       `json:"trying"`
}

// view shows a stream with its secrets as owners may see them.
func (s *Service) view(ctx context.Context, r *streamRecord) (Stream, error) {
	config, secrets, err := s.salvage(r)
	if err != nil {
		return Stream{}, err
	}
	out := Stream{
		ID: r.ID, Namespace: r.Namespace, Name: r.Name, Kind: r.Kind, Config: config,
		Secrets: map[string]string{}, VerificationToken: secrets[verificationToken], Filter: plainFilter(r.Filter),
		Start: r.StartAs, Until: timeOrNil(r.Until), Strict: r.Strict, Active: r.Active, PausedAt: timeOrNil(r.PausedAt),
		Lanes: []Lane{}, CreatedAt: r.Created, UpdatedAt: r.Created, Version: r.Version,
		HeaderNumbers: r.Numbers.Headers, NamespaceNumbers: r.Numbers.Namespaces,
	}
	if !r.Changed.IsZero() {
		out.UpdatedAt = r.Changed
	}
	for name := range secrets {
		if name != verificationToken && name != previousUntil {
			out.Secrets[name] = "set"
		}
	}
	state, ok := s.cfg.Deliver.State(ctx, r.ID)
	if !ok {
		state.Status = sluice.StatusActive // delivery takes it up in a moment
		if !r.Active {
			state.Status = sluice.StatusPaused
		}
	}
	out.Status, out.Ledger, out.Health = state.Status, state.Ledger, healthOf(&state, s.now())
	out.Health.complete(r)
	if out.Health.LastSuccess == nil && out.Ledger.Delivered > 0 {
		if at, err := s.cfg.Deliver.LastSuccess(ctx, r.ID); err == nil {
			out.Health.LastSuccess = timeOrNil(at) // it was before the start
		}
	}
	for i := range state.Lanes {
		l := &state.Lanes[i]
		out.Lanes = append(out.Lanes, Lane{
			Partition: l.Partition, Status: l.Status, Ledger: l.Ledger, Cursor: l.Cursor,
			Behind: timeOrNil(l.BehindSince), LastError: failureOf(l.LastError), NextRetry: timeOrNil(l.NextRetry), Trying: tryingOf(l.Trying),
		})
	}
	return out, nil
}

// healthOf sums up the lanes: the newest success and error, the next try.
func healthOf(state *deliver.State, now time.Time) Health {
	h := Health{LagEvents: state.Ledger.Pending}
	var success, oldest, retry time.Time
	var failure *deliver.Failure
	var trying *deliver.Trying
	for i := range state.Lanes {
		l := &state.Lanes[i]
		if l.LastSuccess.After(success) {
			success = l.LastSuccess
		}
		if l.LastError != nil && (failure == nil || l.LastError.Time.After(failure.Time)) {
			failure = l.LastError
		}
		if !l.NextRetry.IsZero() && (retry.IsZero() || l.NextRetry.Before(retry)) {
			retry = l.NextRetry
		}
		if l.Trying != nil && (trying == nil || l.Trying.Since.Before(trying.Since)) {
			trying = l.Trying
		}
		if !l.OldestPending.IsZero() && (oldest.IsZero() || l.OldestPending.Before(oldest)) {
			oldest = l.OldestPending
		}
	}
	if !oldest.IsZero() {
		h.LagSeconds = max(0, now.Sub(oldest).Seconds())
	}
	h.LastSuccess, h.LastError, h.NextRetry, h.Trying = timeOrNil(success), failureOf(failure), timeOrNil(retry), tryingOf(trying)
	return h
}

func tryingOf(t *deliver.Trying) *Trying {
	if t == nil {
		return nil
	}
	return &Trying{Since: t.Since.UTC(), Events: t.Events}
}

func failureOf(f *deliver.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Time: f.Time.UTC(), Class: f.Class, Status: f.Status, Message: f.Message, Tries: f.Tries}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// plainFilter returns f with lists that are never null.
func plainFilter(f sluice.Filter) sluice.Filter {
	for _, list := range []*[]string{&f.EventTypes, &f.ExcludedEventTypes, &f.Namespaces} {
		if *list == nil {
			*list = []string{}
		}
	}
	return f
}

// Stream returns one stream.
func (s *Service) Stream(ctx context.Context, p Principal, id sluice.StreamID) (Stream, error) {
	st, err := s.find(p, actionReadStreams, id)
	if err != nil {
		return Stream{}, err
	}
	return s.viewAs(ctx, p, st.record())
}

// viewAs shows a stream as p may see it: header values, the query of addresses
// and the verification token are for those who may change it.
func (s *Service) viewAs(ctx context.Context, p Principal, r *streamRecord) (Stream, error) {
	v, err := s.view(ctx, r)
	if err == nil && !may(p, actionReadSecrets, r.scope()) {
		err = v.mask()
	}
	return v, err
}

func (s *Stream) mask() (err error) {
	s.VerificationToken = ""
	s.Config, err = json.Marshal(maskConfig(s.Config))
	return err
}

// Streams lists the streams that p may read, by id; only those of a namespace
// unless that is nil.
func (s *Service) Streams(ctx context.Context, p Principal, namespace *string) ([]Stream, error) {
	if err := authorizeSomewhere(p, actionReadStreams); err != nil {
		return nil, err
	}
	out := []Stream{}
	for _, st := range s.streams.list() {
		r := st.record()
		if r.Deleting != nil || !may(p, actionReadStreams, r.scope()) {
			continue
		}
		if namespace != nil && sluice.FoldNamespace(*namespace) != r.scope() {
			continue
		}
		v, err := s.viewAs(ctx, p, r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// StreamFigures is what is measured of a stream.
type StreamFigures struct {
	ID        sluice.StreamID
	Namespace string
	Name      string // may be ""
	Kind      string
	State     deliver.State
	Lag       time.Duration // age of the oldest pending event
	Health    Health
}

// StreamFigures returns the figures of every stream, by id.
func (s *Service) StreamFigures(ctx context.Context) []StreamFigures {
	list := s.streams.list()
	out := make([]StreamFigures, 0, len(list))
	now := s.now()
	for _, st := range list {
		state, ok := s.cfg.Deliver.State(ctx, st.id)
		if !ok {
			continue
		}
		r := st.record()
		h := healthOf(&state, now)
		h.complete(r)
		lag := time.Duration(h.LagSeconds * float64(time.Second))
		out = append(out, StreamFigures{ID: r.ID, Namespace: r.Namespace, Name: r.Name, Kind: r.Kind, State: state, Lag: lag, Health: h})
	}
	return out
}
