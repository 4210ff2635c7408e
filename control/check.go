package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const (
	maxChecks       = 16 // checks that people asked for, under way at once
	maxTenantChecks = 4  // of one top-level namespace, or of the instance
)

// Check is the outcome of checking a destination.
type Check struct {
	OK     bool    `json:"ok"`
	Stages []Stage `json:"stages"`
	// EgressAddresses are the networks that the traffic comes from, when the
	// operator says so: a receiver's firewall has to let them in.
	EgressAddresses []string `json:"egress_addresses,omitempty"`
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
	return s.check(ctx, p, s.checkNew(d.kind, d.config, d.secrets, d.spec.Namespace), act{
		Namespace: d.spec.Namespace, TargetType: targetStream, Target: title,
		Fields: map[string]any{"kind": d.kind.Name()},
	})
}

// checkNew checks a destination that is opened for it alone.
func (s *Service) checkNew(kind destination.Kind, config json.RawMessage, secrets destination.Secrets, namespace string) checker {
	return func(ctx context.Context, stage func(destination.Stage)) (bool, error) {
		dest, err := kind.Open(config, secrets, s.env(namespace))
		if err != nil {
			return false, err
		}
		defer func() {
			if err := dest.Close(); err != nil {
				s.logger.WarnContext(ctx, "destination not closed", "err", err)
			}
		}()
		return dest.Check(ctx, stage), nil
	}
}

// CheckChange checks the destination that a stream would have after a change,
// which is not made: what is not sent, secrets included, is as it is stored. It
// returns within 30 s, and the check is recorded by then.
func (s *Service) CheckChange(ctx context.Context, p Principal, id sluice.StreamID, patch StreamPatch) (Check, error) {
	st, err := s.find(p, actionManageStreams, id)
	if err != nil {
		return Check{}, err
	}
	old := *st.record()
	next, err := s.patched(ctx, p, &old, patch)
	if err != nil {
		return Check{}, err
	}
	if next == nil {
		next = &old
	}
	config, secrets, err := s.unseal(next)
	if err != nil {
		return Check{}, err
	}
	kind := s.kinds[next.Kind]
	if kind == nil {
		return Check{}, sluice.Errorf(sluice.Unsupported, "this server has no kind %q", next.Kind)
	}
	return s.check(ctx, p, s.checkNew(kind, config, secrets, next.Namespace), act{
		Namespace: next.Namespace, TargetType: targetStream, TargetID: next.ID, Target: next.title(),
		Fields: map[string]any{"kind": next.Kind, "changed": true},
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
	out, err := s.check(ctx, p, s.checkOf(id), act{
		Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
		Fields: map[string]any{"kind": r.Kind},
	})
	if err == nil {
		s.keepCheck(context.WithoutCancel(ctx), st, out, false, false)
	}
	return out, err
}

// checker is [destination.Destination.Check] of a destination that may have to be
// opened first.
type checker func(ctx context.Context, stage func(destination.Stage)) (bool, error)

// checkOf checks the destination of a stream as it delivers to it.
func (s *Service) checkOf(id sluice.StreamID) checker {
	return func(ctx context.Context, stage func(destination.Stage)) (bool, error) {
		return s.cfg.Deliver.Check(ctx, id, stage)
	}
}

// check checks a destination and records it.
func (s *Service) check(ctx context.Context, p Principal, check checker, a act) (Check, error) {
	tenant := sluice.FoldNamespace(sluice.TopLevel(a.Namespace))
	if err := s.checks.enter(tenant); err != nil {
		return Check{}, err
	}
	defer s.checks.leave(tenant)
	out, err := s.runCheck(ctx, check)
	if err != nil {
		return Check{}, err
	}
	a.Type, a.Message = "stream.check", "Checked a destination"
	out.describe(a.Fields)
	return out, s.tell(context.WithoutCancel(ctx), p, a)
}

// describe puts the outcome into the fields of an event.
func (c *Check) describe(fields map[string]any) {
	fields["ok"] = c.OK
	if stage := c.failed(); stage.Name != "" {
		fields["failed_stage"], fields["reason"] = stage.Name, stage.Message
	}
}

// failed returns the stage that failed.
func (c *Check) failed() Stage {
	if n := len(c.Stages); n > 0 && !c.OK {
		return c.Stages[n-1]
	}
	return Stage{}
}

// runCheck checks a destination within 30 s.
func (s *Service) runCheck(ctx context.Context, check checker) (Check, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := Check{Stages: []Stage{}}
	for _, p := range s.cfg.EgressAddresses {
		out.EgressAddresses = append(out.EgressAddresses, p.String())
	}
	var err error
	out.OK, err = s.stages(ctx, check, func(st destination.Stage) {
		out.Stages = append(out.Stages, Stage{
			Name: st.Name, OK: st.OK, MS: float64(st.Took) / float64(time.Millisecond), Message: st.Message,
		})
	})
	if err != nil {
		return Check{}, err
	}
	if n := len(out.Stages); !out.OK && (n == 0 || out.Stages[n-1].OK) {
		message := "the check ended early: see the server's log"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			message = fmt.Sprintf("the check was not done after %s, and ended", checkTimeout)
		}
		out.Stages = append(out.Stages, Stage{Name: "check", Message: message})
	}
	return out, nil
}

// stages runs a check. A panic is a mistake in one kind of destination and fails
// its check.
func (s *Service) stages(ctx context.Context, check checker, stage func(destination.Stage)) (ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			// Its value is not logged: it may hold what was being sent.
			s.logger.ErrorContext(ctx, "destination panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			ok, err = false, nil
		}
	}()
	return check(ctx, stage)
}
