package manifest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/client"
)

func TestPatiently(t *testing.T) {
	for name, c := range map[string]struct {
		err     *client.Error
		refuses int // tries
		tries   int
		took    time.Duration
		fails   bool
	}{
		"works":            {nil, 0, 1, 0, false},
		"too many":         {&client.Error{Status: 429, RetryAfter: 3 * time.Second}, 2, 3, 6 * time.Second, false},
		"busy":             {&client.Error{Status: 503, RetryAfter: time.Hour}, 1, 2, time.Minute, false},
		"always":           {&client.Error{Status: 429, RetryAfter: time.Second}, 100, maxTries, 5 * time.Second, true},
		"without a time":   {&client.Error{Status: 503}, 1, 1, 0, true},
		"another failure":  {&client.Error{Status: 500, RetryAfter: time.Second}, 1, 1, 0, true},
		"nobody is there":  {&client.Error{Code: client.CodeUnreachable}, 1, 1, 0, true},
		"somebody decided": {&client.Error{Status: 409}, 1, 1, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin, tries := time.Now(), 0
			err := patiently(t.Context(), func() error {
				if tries++; tries <= c.refuses {
					return c.err
				}
				return nil
			})
			if took := time.Since(begin); (err != nil) != c.fails || tries != c.tries || took != c.took {
				t.Errorf("%s: got %v after %d tries in %v, want an error: %t, %d tries, %v", name, err, tries, took, c.fails, c.tries, c.took)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if err := patiently(ctx, func() error { return &client.Error{Status: 429, RetryAfter: time.Hour} }); !errors.Is(err, stopped) {
		t.Errorf("stopped: got %v, want the cause", err)
	}
}
