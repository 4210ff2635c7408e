package deliver

import (
	"context"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Check is [destination.Destination.Check] of the destination that a stream
// delivers to, which knows how its deliveries fared: where a test event is what
// proves that it accepts, one is sent after events were refused, and none while
// they are accepted. The stream may be paused. The error says that it does not
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
	return dest.Check(ctx, stage), nil
}
