package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/secret"
)

// Attempt is one try to deliver.
type Attempt struct {
	Time      time.Time `json:"time"` // when it began
	MS        float64   `json:"ms"`
	Partition string    `json:"partition"`
	First     uint64    `json:"first_seq"`
	Last      uint64    `json:"last_seq"`
	Events    int       `json:"events"`
	Bytes     int       `json:"bytes"`
	Delivered int       `json:"delivered"`
	// Outcome is "delivered", or the class of the failure.
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"`
	// Message is in the destination's words where it has any.
	Message string `json:"message,omitempty"`
}

// Attempts returns the last tries of a stream, the newest first: at most limit
// and never more than 200; 0 is 50.
func (s *Service) Attempts(ctx context.Context, p Principal, id sluice.StreamID, limit int) ([]Attempt, error) {
	if _, err := s.find(p, actionReadStreams, id); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 50
	}
	if limit < 0 || limit > deliver.MaxAttempts {
		return nil, sluice.Errorf(sluice.Invalid, "limit must be 1 to %d", deliver.MaxAttempts)
	}
	list, err := s.cfg.Deliver.Attempts(ctx, id, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Attempt, 0, len(list))
	for i := range list {
		a := &list[i]
		outcome := a.Class
		if outcome == "" {
			outcome = "delivered"
		}
		out = append(out, Attempt{
			Time: a.Time, MS: float64(a.Took) / float64(time.Millisecond), Partition: a.Partition, First: a.First, Last: a.Last, Events: a.Events,
			Bytes: a.Bytes, Delivered: a.Delivered, Outcome: outcome, Status: a.Status, Message: a.Words,
		})
	}
	return out, nil
}

// Minute counts what a stream did in one minute.
type Minute struct {
	Time      time.Time `json:"time"`      // its beginning
	Delivered uint64    `json:"delivered"` // events
	Bytes     uint64    `json:"bytes"`
	Failures  uint64    `json:"failures"` // tries
}

// Activity returns the minutes in which a stream did something, of the last ones,
// the oldest first; minutes is at most 10,080, a week; 0 is 60.
func (s *Service) Activity(ctx context.Context, p Principal, id sluice.StreamID, minutes int) ([]Minute, error) {
	if _, err := s.find(p, actionReadStreams, id); err != nil {
		return nil, err
	}
	const most = int(deliver.MaxActivity / time.Minute)
	if minutes == 0 {
		minutes = 60
	}
	if minutes < 0 || minutes > most {
		return nil, sluice.Errorf(sluice.Invalid, "minutes must be 1 to %d", most)
	}
	list, err := s.cfg.Deliver.Activity(ctx, id, s.now().Add(-time.Duration(minutes-1)*time.Minute))
	if err != nil {
		return nil, err
	}
	out := make([]Minute, 0, len(list))
	for _, m := range list {
		out = append(out, Minute(m))
	}
	return out, nil
}

// LagSample is what waited for a stream at one moment.
type LagSample struct {
	// Time is the beginning of the ten minutes in which the moment lies.
	Time    time.Time `json:"time"`
	Events  uint64    `json:"lag_events"`
	Seconds uint64    `json:"lag_seconds"` // age of the oldest pending event
}

// Lag returns what waited for a stream in the last hours, the oldest first: a
// sample for each ten minutes of the clock since the stream was made, but for
// those in which the server did not run, or not with the right time. hours is at
// most 168, a week; 0 is 24.
func (s *Service) Lag(ctx context.Context, p Principal, id sluice.StreamID, hours int) ([]LagSample, error) {
	st, err := s.find(p, actionReadStreams, id)
	if err != nil {
		return nil, err
	}
	const most = int(deliver.MaxActivity / time.Hour)
	if hours == 0 {
		hours = 24
	}
	if hours < 0 || hours > most {
		return nil, sluice.Errorf(sluice.Invalid, "hours must be 1 to %d", most)
	}
	since := s.now().Add(-time.Duration(hours) * time.Hour)
	if created := st.record().Created; created.After(since) {
		since = created
	}
	list, err := s.cfg.Deliver.Lag(ctx, id, since)
	if err != nil {
		return nil, err
	}
	out := make([]LagSample, 0, len(list))
	for _, l := range list {
		out = append(out, LagSample{Time: l.Time, Events: l.Events, Seconds: uint64(l.Age / time.Second)})
	}
	return out, nil
}

// LastDay returns how many events a stream delivered in each of the last 24 hours,
// the oldest first, the one under way last. It is cheap enough to be asked for all
// streams of a page.
func (s *Service) LastDay(ctx context.Context, p Principal, id sluice.StreamID) ([deliver.HoursADay]uint64, error) {
	if _, err := s.find(p, actionReadStreams, id); err != nil {
		return [deliver.HoursADay]uint64{}, err
	}
	return s.cfg.Deliver.LastDay(ctx, id)
}

// Info is what every caller may know of the server.
type Info struct {
	// EgressAddresses are the networks that deliveries come from, as far as the
	// operator says.
	EgressAddresses []string `json:"egress_addresses"`
	Kinds           []Kind   `json:"kinds"`
	// Notices are the kinds of addresses that notices can go to.
	Notices []string `json:"notices"`
}

// Kind is a kind of destination.
type Kind struct {
	Name    string   `json:"name"`
	Secrets []string `json:"secrets"` // that owners set
}

// Info describes the server.
func (s *Service) Info(_ context.Context, p Principal) (Info, error) {
	if err := authorizeSomewhere(p, actionReadStreams); err != nil {
		return Info{}, err
	}
	out := Info{EgressAddresses: []string{}, Kinds: []Kind{}, Notices: slices.AppendSeq([]string{}, maps.Keys(s.cfg.Senders))}
	slices.Sort(out.Notices)
	for _, prefix := range s.cfg.EgressAddresses {
		out.EgressAddresses = append(out.EgressAddresses, prefix.String())
	}
	for _, name := range s.kindList {
		out.Kinds = append(out.Kinds, Kind{Name: name, Secrets: slices.DeleteFunc(slices.Clone(s.kinds[name].SecretNames()), internalSecret)})
	}
	return out, nil
}

// HealthFigures counts since the start.
type HealthFigures struct {
	Checks, FailedChecks  uint64 // scheduled ones
	Notices, NoticeErrors uint64 // sent, and tries that failed
	Told                  uint64 // changes of states
}

// HealthFigures returns the counts.
func (s *Service) HealthFigures() HealthFigures {
	f := &s.health
	return HealthFigures{
		Checks: f.checks.Load(), FailedChecks: f.failedChecks.Load(), Notices: f.notices.Load(), NoticeErrors: f.noticeErrors.Load(), Told: f.told.Load(),
	}
}

// StaleSecrets counts the values of streams that are still to be sealed with the
// current key.
func (s *Service) StaleSecrets() int {
	n, current := 0, s.cfg.Ring.Current()
	for _, st := range s.streams.list() {
		for _, sealed := range st.record().Sealed {
			if id, err := secret.KeyID(sealed.value); err != nil || id != current {
				n++
			}
		}
	}
	return n
}
