package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

func (w *world) retry(want int) {
	w.t.Helper()
	if got, err := w.d.Retry(1); err != nil || got != want {
		w.t.Errorf("Retry: got %d lanes, %v, want %d", got, err, want)
	}
	synctest.Wait()
}

func TestRetryTriesAtOnce(t *testing.T) {
	for name, e := range map[string]*destination.Error{
		"failing":                {Class: destination.Unavailable, Message: "down", RetryAfter: 10 * time.Second},
		"asked to be left alone": {Class: destination.Unavailable, Message: "busy", RetryAfter: time.Hour},
		"held":                   {Class: destination.Misconfigured, Status: 401, Message: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Options{}, func(t *testing.T, w *world) {
				r := w.stream(1, "acme")
				w.retry(0) // nothing waits
				r.set(func(r *receiver) { r.refuse = func([]destination.Event) *destination.Error { return e } })
				w.post("acme", "a", 3)
				time.Sleep(2 * MinRetry)
				before := r.sent()
				w.retry(1)
				if got := r.sent(); got <= before { // a held lane also tries another event
					t.Errorf("tries after the first retry: got %d, want more than %d", got, before)
				}
				time.Sleep(MinRetry - time.Millisecond)
				before = r.sent()
				w.retry(0) // too early
				if got := r.sent(); got != before {
					t.Errorf("tries after a retry that came too early: got %d, want %d", got, before)
				}
				r.set(func(r *receiver) { r.refuse = nil })
				time.Sleep(time.Millisecond)
				w.retry(1)
				w.expect(1, sluice.Ledger{Accepted: 3, Delivered: 3})
				w.retry(0)
			})
		})
	}
	simulate(t, Options{}, func(t *testing.T, w *world) {
		if _, err := w.d.Retry(7); err == nil {
			t.Error("Retry of an unknown stream: got nil, want an error")
		}
	})
}
