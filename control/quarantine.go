package control

import (
	"context"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// Limits of what is done with a quarantine at once.
const (
	maxQuarantineList = 1000
	maxQuarantineAct  = 1000
)

// QuarantineKey names an event in a stream's quarantine, QuarantineChoice several,
// and Quarantined is one, for surfaces.
type (
	QuarantineKey    = deliver.QuarantineKey
	QuarantineChoice = deliver.QuarantineChoice
	Quarantined      = deliver.Quarantined
)

// Quarantine lists the oldest quarantined events of a stream, at most limit and
// never more than 1,000; 0 is 100. They are fewer when they are large: see
// [deliver.Deliverer.Quarantine].
func (s *Service) Quarantine(ctx context.Context, p Principal, id sluice.StreamID, limit int) ([]deliver.Quarantined, error) {
	if _, err := s.find(p, actionReadStreams, id); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 100
	}
	if limit < 0 || limit > maxQuarantineList {
		return nil, sluice.Errorf(sluice.Invalid, "limit must be 1 to %d", maxQuarantineList)
	}
	return s.cfg.Deliver.Quarantine(ctx, id, limit)
}

// Redeliver makes quarantined events pending again and returns how many. It is an
// error when some are named and none of those is in quarantine. What a stream's
// lanes have as their cursors bounds those that were in quarantine at that time.
func (s *Service) Redeliver(ctx context.Context, p Principal, id sluice.StreamID, which QuarantineChoice) (int, error) {
	return s.emptyQuarantine(ctx, p, id, which, s.cfg.Deliver.Redeliver, act{
		Type: "quarantine.redeliver", Message: "Asked to deliver quarantined events again",
	})
}

// Drop gives quarantined events up and returns how many. The ledger counts them as
// expired. They are chosen as for Redeliver.
func (s *Service) Drop(ctx context.Context, p Principal, id sluice.StreamID, which QuarantineChoice) (int, error) {
	return s.emptyQuarantine(ctx, p, id, which, s.cfg.Deliver.Drop, act{
		Type: "quarantine.drop", Message: "Asked to drop quarantined events",
	})
}

// emptyQuarantine records what was asked for, then does it: an act may be
// recorded and fail, but none happens without a record.
func (s *Service) emptyQuarantine(ctx context.Context, p Principal, id sluice.StreamID, which QuarantineChoice,
	do func(context.Context, sluice.StreamID, QuarantineChoice) (int, error), a act,
) (int, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return 0, err
	}
	if err := s.checkChoice(which); err != nil {
		return 0, err
	}
	state, ok := s.cfg.Deliver.State(ctx, id)
	if !ok || state.Ledger.Quarantined == 0 {
		return found(0, which.Events)
	}
	r := st.record()
	a.Namespace, a.TargetType, a.TargetID, a.Target = r.Namespace, targetStream, r.ID, r.title()
	a.Fields = map[string]any{"quarantined": state.Ledger.Quarantined, "events": "all"}
	if len(which.Events) > 0 {
		a.Fields["events"] = which.Events
	}
	if len(which.UpTo) > 0 {
		a.Fields["up_to"] = which.UpTo
	}
	if err := s.tell(ctx, p, a); err != nil {
		return 0, err
	}
	n, err := do(ctx, id, which)
	if err != nil {
		return n, storeError("change the quarantine", err)
	}
	return found(n, which.Events)
}

// found returns n, and an error when nothing is there of what was named.
func found(n int, items []deliver.QuarantineKey) (int, error) {
	if n > 0 || len(items) == 0 {
		return n, nil
	}
	return 0, sluice.Errorf(sluice.NotFound, "none of these events is in the stream's quarantine, the first is %s:%d", items[0].Partition, items[0].Seq).
		WithHint("\"sluice stream quarantine list\" shows them, and GET .../quarantine")
}

func (s *Service) checkChoice(which QuarantineChoice) error {
	if len(which.Events) > maxQuarantineAct {
		return sluice.Errorf(sluice.Invalid, "events names more than %d", maxQuarantineAct).WithHint("leave events out to mean all, or send several requests")
	}
	if len(which.UpTo) > len(s.log.Partitions()) || len(which.UpTo) > 0 && len(which.Events) > 0 {
		return sluice.Errorf(sluice.Invalid, "up_to must name one event of each partition, and no events are named beside it")
	}
	if !s.areEvents(which.Events) {
		return sluice.Errorf(sluice.Invalid, "events must name partition and seq of each event").
			WithHint("take them from the list of the quarantine")
	}
	if !s.areEvents(which.UpTo) {
		return sluice.Errorf(sluice.Invalid, "up_to must name partition and seq of events").
			WithHint("take partition and cursor from the stream's lanes")
	}
	return nil
}

func (s *Service) areEvents(keys []QuarantineKey) bool {
	return !slices.ContainsFunc(keys, func(k QuarantineKey) bool {
		return k.Seq == 0 || !slices.Contains(s.log.Partitions(), k.Partition)
	})
}
