package deliver

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// HangAfter is how long a destination may do nothing during a try before its
// stream counts as failing. The try itself goes on until its deadline.
const HangAfter = 30 * time.Second

// Trying is a try that is under way.
type Trying struct {
	Since  time.Time
	Events int
}

// trying is a call of Send or Put under way.
type trying struct {
	Trying
	alive atomic.Int64 // nanoseconds from Since until the far side did something last
}

// begin notes that a try is under way, and returns the context for it. The lane is
// not locked.
func (l *lane) begin(ctx context.Context, events int) context.Context {
	t := &trying{Trying: Trying{Since: time.Now(), Events: events}}
	l.mu.Lock()
	l.trying = t
	l.mu.Unlock()
	return destination.WithProgress(ctx, t.progressed)
}

func (t *trying) progressed() { t.alive.Store(int64(time.Since(t.Since))) }

// hangs reports whether the destination has done nothing for too long. The lane is
// locked.
func (l *lane) hangs() bool {
	return l.trying != nil && time.Since(l.trying.Since)-time.Duration(l.trying.alive.Load()) >= HangAfter
}

// hanging describes a try that hangs like a failure.
func (t *trying) hanging() Failure {
	return Failure{Time: t.Since, Class: destination.Unavailable.String(),
		Message: fmt.Sprintf("the destination has done nothing for %s; a try is under way (events: %d)",
			(time.Since(t.Since) - time.Duration(t.alive.Load())).Round(time.Second), t.Events)}
}

// readAlong is content whose reading shows that an upload goes on.
type readAlong struct {
	io.ReaderAt
	progressed func()
}

func (r *readAlong) ReadAt(p []byte, at int64) (int, error) {
	r.progressed()
	return r.ReaderAt.ReadAt(p, at)
}
