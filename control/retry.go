package control

import (
	"context"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// RetryStream tries a stream now that waits for its next try, whatever its
// destination asked for: somebody repaired it. Where it failed less than a second
// ago, or does not wait, nothing happens and nothing is recorded; else what was
// asked for is recorded first. A stream that is paused has to be resumed instead.
func (s *Service) RetryStream(ctx context.Context, p Principal, id sluice.StreamID) (Stream, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Stream{}, err
	}
	r := st.record()
	if !r.Active {
		return Stream{}, sluice.Errorf(sluice.Conflict, "the stream is paused").WithHint("resume it: then it is tried at once")
	}
	state, _ := s.cfg.Deliver.State(ctx, id)
	now := s.now()
	if slices.ContainsFunc(state.Lanes, func(l deliver.LaneState) bool { return l.Waits(now) }) {
		if err := s.tell(ctx, p, act{
			Type: "stream.retry", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(), Message: "Asked to try a stream at once",
		}); err != nil {
			return Stream{}, err
		}
		if _, err := s.cfg.Deliver.Retry(id); err != nil {
			return Stream{}, err
		}
	}
	return s.viewAs(ctx, p, st.record())
}
