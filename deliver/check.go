package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Check is [destination.Destination.Check] of the destination that a stream
// delivers to, which knows how its deliveries fared: where a test event is what
// proves that it accepts, one is sent after events were refused, and none while
// they are accepted. An object that was not stored, and keeps its key whatever the
// stream says now, is tried as well: its place may be refused although that of the
// test object is not. The stream may be paused. The error says that it does not
// exist or that its destination cannot be opened.
func (d *Deliverer) Check(ctx context.Context, id sluice.StreamID, stage func(destination.Stage)) (bool, error) {
	s, err := d.stream(id)
	if err != nil {
		return false, err
	}
	dest, err := s.acquire()
	if err != nil {
		return false, err
	}
	defer s.release()
	if !dest.Check(ctx, stage) {
		return false, nil
	}
	for _, l := range s.lanes {
		if !d.checkPlan(ctx, l, stage) {
			return false, nil
		}
	}
	return true, nil
}

// planPoll is how often a check looks whether an object was stored.
const planPoll = 20 * time.Millisecond

// checkPlan tries the object of a lane that failed before, and tells what became
// of it. It returns false when it is not stored.
func (d *Deliverer) checkPlan(ctx context.Context, l *lane, stage func(destination.Stage)) bool {
	l.mu.Lock()
	if l.rec.Plan == nil || l.failure == nil {
		l.mu.Unlock()
		return true
	}
	key, tried := l.rec.Plan.Key, l.sends
	if l.phase == waiting && time.Since(l.failure.Time) >= MinRetry {
		d.rouse(l)
	}
	l.mu.Unlock()
	start := time.Now()
	for {
		l.mu.Lock()
		failure, stored := l.failure, l.rec.Plan == nil || l.rec.Plan.Key != key
		rests := l.sends > tried || l.phase == waiting || l.phase == stopped
		l.mu.Unlock()
		switch {
		case stored || failure == nil:
			stage(destination.Stage{Name: "pending object", OK: true, Took: time.Since(start), Message: "the object " + key + ", which had not been stored before, is"})
			return true
		case rests || ctx.Err() != nil:
			stage(destination.Stage{Name: "pending object", Took: time.Since(start), Message: planMessage(key, failure, ctx.Err() != nil)})
			return false
		}
		select {
		case <-time.After(planPoll):
		case <-ctx.Done():
		}
	}
}

func planMessage(key string, f *Failure, underWay bool) string {
	at := f.Time.UTC().Format(time.RFC3339)
	if underWay {
		return fmt.Sprintf("the object %s is still to be stored: a try has no outcome yet, and the one before, at %s, failed: %s", key, at, f.Message)
	}
	return fmt.Sprintf("a test object is accepted, but the object %s is not, at %s: %s", key, at, f.Message)
}
