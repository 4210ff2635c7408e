package deliver

import (
	"testing"
	"testing/synctest"
	"time"
)

// What was delivered in the last hours is what the counts by minute say, asked for
// often or seldom, and over restarts.
func TestLastDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.stream(1, "acme")
		check := func() {
			t.Helper()
			synctest.Wait()
			got, err := w.d.LastDay(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			list, err := w.d.Activity(t.Context(), 1, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			var want [HoursADay]uint64
			for _, m := range list {
				if ago := time.Now().Unix()/3600 - m.Time.Unix()/3600; ago < HoursADay {
					want[HoursADay-1-ago] += m.Delivered
				}
			}
			if got != want {
				t.Errorf("at %s: got %v, want %v", time.Now().UTC(), got, want)
			}
		}
		check()
		for i := range 250 {
			w.post("acme", "a", 1+i%3)
			time.Sleep(time.Duration(3+i%20) * time.Minute)
			if i%5 > 2 {
				check()
			}
			if i%50 == 49 {
				synctest.Wait()
				again(w)
				check()
			}
		}
		before, err := w.d.LastSuccess(t.Context(), 1)
		synctest.Wait()
		again(w)
		for range 2 {
			if got, failed := w.d.LastSuccess(t.Context(), 1); err != nil || failed != nil || !got.Equal(before) {
				t.Errorf("the last success: got %s and errors %v, %v, want %s", got, err, failed, before)
			}
		}
		w.post("acme", "a", 1)
		synctest.Wait()
		if got, err := w.d.LastSuccess(t.Context(), 1); err != nil || !got.Equal(time.Now()) {
			t.Errorf("the last success: got %s and error %v, want now", got, err)
		}
		if _, err := w.d.LastDay(t.Context(), 99); err == nil {
			t.Error("got no error for a stream that is not there")
		}
		w.stop()
	})
}
