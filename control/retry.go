package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
)

// Retried is a stream that somebody asked to try at once.
type Retried struct {
	Stream
	// Retried says that it was tried; Message says so, or why it was not.
	Retried bool   `json:"retried"`
	Message string `json:"message"`
}

// RetryStream tries a stream now that waits for its next try, whatever its
// destination asked for: somebody repaired it. Where it failed less than a second
// ago, or does not wait, nothing happens and nothing is recorded; else what was
// asked for is recorded first. A stream that is paused has to be resumed instead.
func (s *Service) RetryStream(ctx context.Context, p Principal, id sluice.StreamID) (Retried, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Retried{}, err
	}
	r := st.record()
	if !r.Active {
		return Retried{}, sluice.Errorf(sluice.Conflict, "the stream is paused").WithHint("resume it: then it is tried at once")
	}
	state, _ := s.cfg.Deliver.State(ctx, id)
	now, tried := s.now(), 0
	if slices.ContainsFunc(state.Lanes, func(l deliver.LaneState) bool { return l.Waits(now) }) {
		if err := s.tell(ctx, p, act{
			Type: "stream.retry", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(), Message: "Asked to try a stream at once",
		}); err != nil {
			return Retried{}, err
		}
		if tried, err = s.cfg.Deliver.Retry(id); err != nil {
			return Retried{}, err
		}
	}
	out := Retried{Retried: tried > 0, Message: notRetried(&state, now)}
	if out.Retried {
		out.Message = "it is tried now"
	}
	out.Stream, err = s.viewAs(ctx, p, st.record())
	return out, err
}

// notRetried says why there was nothing to try at once.
func notRetried(state *deliver.State, now time.Time) string {
	for i := range state.Lanes {
		if t := state.Lanes[i].Trying; t != nil {
			return fmt.Sprintf("nothing to do: a try is under way since %s (events: %d)", t.Since.UTC().Format(time.RFC3339), t.Events)
		}
	}
	for i := range state.Lanes {
		if l := &state.Lanes[i]; l.LastError != nil && now.Sub(l.LastError.Time) < deliver.MinRetry {
			return "it was tried less than a second ago: look at last_error, and ask again"
		}
	}
	if state.Status == sluice.StatusDone {
		return "nothing to do: the stream is done"
	}
	return "nothing to do: no try has failed since the last success"
}
