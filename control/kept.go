package control

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
)

// Kept says how long the events of a class wait for a stream.
type Kept struct {
	Class string // "audit" or "git"
	// Until is when the first of them may expire; nil: none does.
	Until *time.Time
}

// KeptWhilePaused returns, by class, until when no event of a stream expires if
// nothing is delivered from now on.
func (s *Service) KeptWhilePaused(ctx context.Context, p Principal, id sluice.StreamID) ([]Kept, error) {
	if _, err := s.find(p, actionReadStreams, id); err != nil {
		return nil, err
	}
	list, err := s.cfg.Deliver.KeptWhilePaused(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]Kept, 0, len(list))
	for _, k := range list {
		out = append(out, Kept{Class: k.Partition, Until: timeOrNil(k.Until)})
	}
	return out, nil
}

// Expiring returns those of kept whose events of the stream are pending and will
// expire, once half of the time between the moment when the stream fell behind and
// then has passed.
func (f *StreamFigures) Expiring(kept []Kept, now time.Time) (out []Kept) {
	for i := range f.State.Lanes {
		l := &f.State.Lanes[i]
		for _, k := range kept {
			if k.Class == l.Partition && k.Until != nil && l.Ledger.Pending > 0 && !l.BehindSince.IsZero() && now.Sub(l.BehindSince) >= k.Until.Sub(l.BehindSince)/2 {
				out = append(out, k)
			}
		}
	}
	return out
}
