package control

import (
	"context"
	"errors"
	"strconv"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// CreateStream creates a stream and starts it, unless it is not to be active.
func (s *Service) CreateStream(ctx context.Context, p Principal, spec StreamSpec) (Stream, error) {
	d, err := s.draft(ctx, p, spec)
	if err != nil {
		return Stream{}, err
	}
	if d.spec.Namespace, err = s.ensureTopLevel(ctx, p, d.spec.Namespace); err != nil {
		return Stream{}, err
	}
	s.keys.storing.RLock()
	rec, err := s.createRecord(ctx, p, d)
	s.keys.storing.RUnlock()
	if err != nil {
		return Stream{}, err
	}
	failpoint.Here(failpoint.StreamCreated)
	s.outboxes.wake(streamKey(rec.ID))
	s.begin(ctx, rec)
	return s.view(ctx, rec)
}

// begin makes a new stream known, here and to delivery. Whoever changes it has to
// wait until delivery has it.
func (s *Service) begin(ctx context.Context, rec *streamRecord) {
	st := newStream(rec)
	st.changing <- struct{}{} // nobody knows it yet
	defer func() { <-st.changing }()
	s.streams.add(st)
	s.apply(ctx, st)
}

// createRecord stores a new stream.
func (s *Service) createRecord(ctx context.Context, p Principal, d *draft) (*streamRecord, error) {
	rec, err := s.newRecord(ctx, p, d)
	if err != nil {
		return nil, err
	}
	claims, err := s.claimStream(ctx, rec)
	if err != nil {
		return nil, err
	}
	failpoint.Here(failpoint.StreamClaimed)
	if rec.Start, err = s.positions(ctx, d); err == nil {
		err = s.create(ctx, streamKey(rec.ID), rec)
	} else {
		err = errors.Join(errNotCreated, err)
	}
	if err != nil {
		if errors.Is(err, errNotCreated) {
			claims.release(ctx)
		} else {
			rereadNew(ctx, s, streamKey(rec.ID), func(ctx context.Context, rec *streamRecord) error {
				s.begin(ctx, rec)
				return nil
			})
		}
		return nil, storeError("store a stream", err)
	}
	return rec, nil
}

// newRecord returns the record of a stream that is to be created, without its
// start.
func (s *Service) newRecord(ctx context.Context, p Principal, d *draft) (*streamRecord, error) {
	id, err := store.NextID(ctx, s.store, "stream")
	if err != nil {
		return nil, storeError("number a stream", err)
	}
	r := &streamRecord{
		ID: sluice.StreamID(id), Namespace: d.spec.Namespace, Name: d.spec.Name, Kind: d.kind.Name(), Filter: d.spec.Filter,
		StartAs: d.spec.Start, Until: d.until, Strict: d.spec.Strict, Active: d.spec.Active == nil || *d.spec.Active,
		Created: s.now().UTC(), Version: 1,
	}
	if !r.Active {
		r.PausedAt = r.Created
	}
	if token := d.secrets[verificationToken]; token != "" {
		digest := digestOf(token).String()
		if r.Verification = digest; d.spec.CopyOf != 0 {
			r.Verification, r.Copied = "", digest
		}
	}
	if err := s.seal(r, d.config, d.secrets); err != nil {
		return nil, err
	}
	r.number(r)
	fields := map[string]any{
		"kind": r.Kind, "config": shown(maskConfig(r.Config)), "filter": shown(plainFilter(r.Filter)),
		"start": r.StartAs, "until": timeOrNil(r.Until), "strict": r.Strict, "active": r.Active,
	}
	if d.spec.CopyOf != 0 {
		fields["copy_of"] = d.spec.CopyOf
	}
	r.add(s.compose(p, act{
		Type: "stream.create", Namespace: r.Namespace, TargetType: targetStream, TargetID: r.ID, Target: r.title(),
		Message: "Created a stream", Secrets: sortedNames(d.secrets), Fields: fields,
	}))
	return r, nil
}

// shown returns a value fit for an event.
func shown(v any) any {
	return bounded(map[string]change{"": {To: v}})[""].To
}

// claims are what a stream has taken.
type claims struct {
	s     *Service
	owner string
	held  [][2]string // rule and value
}

func (c *claims) take(ctx context.Context, rule, value string) error {
	err := c.s.claim(ctx, rule, value, c.owner)
	if err == nil {
		c.held = append(c.held, [2]string{rule, value})
	}
	return err
}

func (c *claims) release(ctx context.Context) {
	for _, h := range c.held {
		c.s.release(ctx, h[0], h[1], c.owner)
	}
}

// claimStream takes what the stream must have for itself: a place among those of
// its namespace, its name and its verification token.
func (s *Service) claimStream(ctx context.Context, r *streamRecord) (*claims, error) {
	c := &claims{s: s, owner: streamKey(r.ID)}
	err := s.claimSlot(ctx, c, r)
	if err == nil && r.Name != "" {
		if err = c.take(ctx, ruleName, r.nameClaim()); errors.Is(err, store.ErrTaken) {
			err = errNameTaken(r.Name)
		}
	}
	if err == nil && r.Verification != "" {
		if err = c.take(ctx, ruleVerification, r.scope()+"/"+r.Verification); errors.Is(err, store.ErrTaken) || err == nil && s.streams.haveCopy(r) {
			err = sluice.Errorf(sluice.Conflict, "another stream of the namespace has this verification token").
				WithHint("leave secrets.%s out to have one generated", verificationToken)
		}
	}
	if err != nil {
		c.release(ctx)
		return nil, storeError("claim", err)
	}
	return c, nil
}

func errNameTaken(name string) *sluice.Error {
	return sluice.Errorf(sluice.Conflict, "another stream of the namespace has the name %q", name).WithHint("choose another name, or leave it out")
}

// claimSlot takes a number of 1 to StreamLimit, beginning at the likeliest.
func (s *Service) claimSlot(ctx context.Context, c *claims, r *streamRecord) error {
	first := s.streams.in(r.scope())
	for i := range s.cfg.StreamLimit {
		r.Slot = 1 + (first+i)%s.cfg.StreamLimit
		err := c.take(ctx, ruleSlot, r.slotClaim())
		if !errors.Is(err, store.ErrTaken) {
			return err
		}
	}
	return sluice.Errorf(sluice.Conflict, "the namespace has %d streams, which is the limit", s.cfg.StreamLimit).
		WithHint("delete one that is no longer needed")
}

func (r *streamRecord) slotClaim() string { return r.scope() + "/" + strconv.Itoa(r.Slot) }

// releaseStream gives back what a stream had for itself.
func (s *Service) releaseStream(ctx context.Context, r *streamRecord) {
	c := claims{s: s, owner: streamKey(r.ID), held: [][2]string{{ruleSlot, r.slotClaim()}}}
	if r.Name != "" {
		c.held = append(c.held, [2]string{ruleName, r.nameClaim()})
	}
	if r.Verification != "" {
		c.held = append(c.held, [2]string{ruleVerification, r.scope() + "/" + r.Verification})
	}
	c.release(ctx)
}
