package control

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Check is the outcome of checking a destination.
type Check struct {
	OK     bool    `json:"ok"`
	Stages []Stage `json:"stages"`
}

// Stage is one step of a check.
type Stage struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	MS      float64 `json:"ms"`
	Message string  `json:"message"`
}

// CheckDraft checks the destination of a stream that is not created yet. It
// returns within 30 s, and the check is recorded by then.
func (s *Service) CheckDraft(ctx context.Context, p Principal, spec StreamSpec) (Check, error) {
	d, err := s.draft(ctx, p, spec)
	if err != nil {
		return Check{}, err
	}
	title := spec.Name
	if title == "" {
		title = "new stream"
	}
	open := func() (destination.Destination, error) {
		return d.kind.Open(d.config, d.secrets, s.env(spec.Namespace))
	}
	return s.check(ctx, p, open, act{
		Namespace: spec.Namespace, TargetType: targetStream, Target: title,
		Fields: map[string]any{"kind": d.kind.Name()},
	})
}

// CheckStream checks the destination of a stream. It returns within 30 s, and
// the check is recorded by then.
func (s *Service) CheckStream(ctx context.Context, p Principal, id sluice.StreamID) (Check, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Check{}, err
	}
	r := st.record()
	return s.check(ctx, p, func() (destination.Destination, error) { return s.open(r) }, act{
		Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
		Fields: map[string]any{"kind": r.Kind},
	})
}

// check opens a destination, checks and records it.
func (s *Service) check(ctx context.Context, p Principal, open func() (destination.Destination, error), a act) (Check, error) {
	select {
	case s.checks <- struct{}{}:
		defer func() { <-s.checks }()
	default:
		return Check{}, sluice.Errorf(sluice.Busy, "too many checks are under way").WithHint("try again in a few seconds")
	}
	out, err := s.runCheck(ctx, open)
	if err != nil {
		return Check{}, err
	}
	a.Type, a.Message = "stream.check", "Checked a destination"
	a.Fields["ok"] = out.OK
	if n := len(out.Stages); n > 0 && !out.OK {
		a.Fields["failed_stage"] = out.Stages[n-1].Name
	}
	return out, s.tell(context.WithoutCancel(ctx), p, a)
}

func (s *Service) runCheck(ctx context.Context, open func() (destination.Destination, error)) (Check, error) {
	dest, err := open()
	if err != nil {
		return Check{}, err
	}
	defer func() {
		if err := dest.Close(); err != nil {
			s.logger.WarnContext(ctx, "destination not closed", "err", err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := Check{Stages: []Stage{}}
	out.OK = dest.Check(ctx, func(st destination.Stage) {
		out.Stages = append(out.Stages, Stage{
			Name: st.Name, OK: st.OK, MS: float64(st.Took) / float64(time.Millisecond), Message: st.Message,
		})
	})
	return out, nil
}
