package control

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice"
)

// spacePeriod is how often the free space is looked at.
const spacePeriod = 500 * time.Millisecond

// space is what is known of the free space.
type space struct {
	low  atomic.Bool
	free atomic.Uint64
}

func errNoSpace() *sluice.Error {
	return sluice.Errorf(sluice.NoSpace, "there is no space left on the server's disk").
		WithHint("nothing was stored; free space or shorten the retention, and try again: the server takes events again by itself")
}

func (s *Service) runSpace(ctx context.Context) { every(ctx, spacePeriod, s.watchSpace) }

// watchSpace compares the free space with the floor. Without a way to tell, or
// when telling fails, what is known stays, except that a full disk is tried
// again: the log itself knows best.
func (s *Service) watchSpace(ctx context.Context) {
	if s.cfg.FreeSpace == nil {
		s.space.low.Store(false)
		return
	}
	free, err := s.cfg.FreeSpace()
	if err != nil {
		s.logger.WarnContext(ctx, "free space unknown", "err", err)
		return
	}
	s.space.free.Store(free)
	low := free < s.cfg.Floor
	if s.space.low.Swap(low) == low {
		return
	}
	if low {
		s.logger.WarnContext(ctx, "free space below the floor, events are refused", "free_bytes", free, "floor_bytes", s.cfg.Floor)
		return
	}
	s.logger.InfoContext(ctx, "free space is back, events are taken", "free_bytes", free)
}
