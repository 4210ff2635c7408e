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

// QuarantineKey names an event in a stream's quarantine, and Quarantined is one,
// for surfaces.
type (
	QuarantineKey = deliver.QuarantineKey
	Quarantined   = deliver.Quarantined
)

// Quarantine lists the oldest quarantined events of a stream, at most limit and
// never more than 1,000; 0 is 100.
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

// Redeliver makes quarantined events pending again, all of them when none is
// named, and returns how many. It is an error when some are named and none of
// those is in quarantine.
func (s *Service) Redeliver(ctx context.Context, p Principal, id sluice.StreamID, items []deliver.QuarantineKey) (int, error) {
	return s.emptyQuarantine(ctx, p, id, items, s.cfg.Deliver.Redeliver, act{
		Type: "quarantine.redeliver", Message: "Asked to deliver quarantined events again",
	})
}

// Drop gives quarantined events up, all of them when none is named, and returns
// how many. The ledger counts them as expired. Names count as for Redeliver.
func (s *Service) Drop(ctx context.Context, p Principal, id sluice.StreamID, items []deliver.QuarantineKey) (int, error) {
	return s.emptyQuarantine(ctx, p, id, items, s.cfg.Deliver.Drop, act{
		Type: "quarantine.drop", Message: "Asked to drop quarantined events",
	})
}

// emptyQuarantine records what was asked for, then does it: an act may be
// recorded and fail, but none happens without a record.
func (s *Service) emptyQuarantine(ctx context.Context, p Principal, id sluice.StreamID, items []deliver.QuarantineKey,
	do func(context.Context, sluice.StreamID, []deliver.QuarantineKey) (int, error), a act,
) (int, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return 0, err
	}
	if err := s.checkKeys(items); err != nil {
		return 0, err
	}
	state, ok := s.cfg.Deliver.State(ctx, id)
	if !ok || state.Ledger.Quarantined == 0 {
		return found(0, items)
	}
	r := st.record()
	a.Namespace, a.TargetType, a.TargetID, a.Target = r.Namespace, targetStream, r.ID, r.title()
	a.Fields = map[string]any{"quarantined": state.Ledger.Quarantined, "events": "all"}
	if len(items) > 0 {
		a.Fields["events"] = items
	}
	if err := s.tell(ctx, p, a); err != nil {
		return 0, err
	}
	n, err := do(ctx, id, items)
	if err != nil {
		return n, storeError("change the quarantine", err)
	}
	return found(n, items)
}

// found returns n, and an error when nothing is there of what was named.
func found(n int, items []deliver.QuarantineKey) (int, error) {
	if n > 0 || len(items) == 0 {
		return n, nil
	}
	return 0, sluice.Errorf(sluice.NotFound, "none of these events is in the stream's quarantine, the first is %s:%d", items[0].Partition, items[0].Seq).
		WithHint("\"sluice stream quarantine list\" shows them, and GET .../quarantine")
}

func (s *Service) checkKeys(items []deliver.QuarantineKey) error {
	if len(items) > maxQuarantineAct {
		return sluice.Errorf(sluice.Invalid, "events names more than %d", maxQuarantineAct).WithHint("leave events out to mean all, or send several requests")
	}
	for _, k := range items {
		if !slices.Contains(s.log.Partitions(), k.Partition) || k.Seq == 0 {
			return sluice.Errorf(sluice.Invalid, "events must name partition and seq of each event").
				WithHint("take them from the list of the quarantine")
		}
	}
	return nil
}
