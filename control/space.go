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
	low  atomic.Bool // it was below the floor when it could be told last
	full atomic.Bool // the log has found the disk full since the last look
	free atomic.Uint64
}

// short reports whether events are refused.
func (s *space) short() bool { return s.low.Load() || s.full.Load() }

func errNoSpace() *sluice.Error {
	return sluice.Errorf(sluice.NoSpace, "there is no space left on the server's disk").
		WithHint("nothing was stored; free space or shorten the retention, and try again: the server takes events again by itself")
}

func (s *Service) runSpace(ctx context.Context) { every(ctx, spacePeriod, s.watchSpace) }

// watchSpace compares the free space with the floor. Without a way to tell, or
// when telling fails, what is known stays, except that a full disk is tried
// again: the log itself knows best.
func (s *Service) watchSpace(ctx context.Context) {
	full := s.space.full.Swap(false)
	if s.cfg.FreeSpace == nil {
		return
	}
	free, err := s.cfg.FreeSpace()
	if err != nil {
		s.logger.WarnContext(ctx, "free space unknown", "err", err)
		return
	}
	s.space.free.Store(free)
	low := free < s.cfg.Floor
	if before := s.space.low.Swap(low) || full; before == low {
		return
	}
	if low {
		s.logger.WarnContext(ctx, "free space below the floor, events are refused", "free_bytes", free, "floor_bytes", s.cfg.Floor)
		return
	}
	s.logger.InfoContext(ctx, "free space is back, events are taken", "free_bytes", free)
}
