package manifest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluicelog/sluice/client"
)

// How patient this side is with a server that has too much to do.
const (
	maxTries = 6
	maxWait  = time.Minute // once
)

// patiently repeats what the server did not begin with because of the rate or of
// too much else to do, as often and as late as it asks for.
func patiently(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		e, ok := errors.AsType[*client.Error](err)
		busy := ok && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable)
		if !busy || e.RetryAfter <= 0 || try == maxTries {
			return err
		}
		timer := time.NewTimer(min(e.RetryAfter, maxWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
