package quota

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(3, nil)
		for i := range 5 {
			w := r.Take("t1")
			if want := i >= 3; w.Over() != want || (w.Err() != nil) != want {
				t.Errorf("request %d: got over %v and error %v, want over %v", i+1, w.Over(), w.Err(), want)
			}
			if w.Used != i+1 || w.Left() != max(0, 2-i) || w.Limit != 3 {
				t.Errorf("request %d: got %+v with %d left", i+1, w, w.Left())
			}
			time.Sleep(time.Second)
		}
		if w := r.Take("t2"); w.Over() || w.Used != 1 {
			t.Errorf("another credential: got %+v, want a window of its own", w)
		}
		if w := r.Look("t1"); w.Used != 5 || w.Over() || w.Wait() != 55 || w.Reset() != time.Now().Add(55*time.Second).Unix() {
			t.Errorf("look: got %+v with %d s to wait, want 55 s and nothing counted", w, w.Wait())
		}
		time.Sleep(55*time.Second - 1)
		if w := r.Take("t1"); !w.Over() || w.Wait() != 1 || w.Reset() <= time.Now().Unix() {
			t.Errorf("just before the end: got %+v with %d s to wait", w, w.Wait())
		}
		time.Sleep(time.Nanosecond)
		if w := r.Take("t1"); w.Over() || w.Used != 1 || w.Wait() != 60 {
			t.Errorf("in the next window: got %+v", w)
		}
	})
}

func TestWithoutLimit(t *testing.T) {
	r := New(0, nil)
	for range 3 {
		w, h := r.Take("t1"), http.Header{}
		if w.SetHeader(h); w.Over() || w.Err() != nil || len(h) != 0 {
			t.Errorf("got %+v and headers %v, want neither limit nor headers", w, h)
		}
	}
	if w := New(1, nil).Take(""); w.Limit != 0 {
		t.Errorf("nobody in particular: got %+v, want no limit", w)
	}
}

func TestHeader(t *testing.T) {
	now := time.Date(2026, time.March, 1, 10, 0, 0, 500, time.UTC)
	r := New(1, func() time.Time { return now })
	for used, want := range []map[string]string{
		{"Ratelimit-Limit": "1", "Ratelimit-Observed": "1", "Ratelimit-Remaining": "0"},
		{"Ratelimit-Limit": "1", "Ratelimit-Observed": "2", "Ratelimit-Remaining": "0", "Retry-After": "60"},
	} {
		want["Ratelimit-Reset"] = strconv.FormatInt(now.Unix()+61, 10) // never too early
		h := http.Header{}
		r.Take("t1").SetHeader(h)
		for name, value := range want {
			if got := h.Get(name); got != value {
				t.Errorf("request %d: got %s %q, want %q", used+1, name, got, value)
			}
		}
		if len(h) != len(want) {
			t.Errorf("request %d: got headers %v, want %v", used+1, h, want)
		}
	}
}

// However many credentials come, few are remembered, and those that come again
// are not forgotten for those that have ended.
func TestMemoryIsBounded(t *testing.T) {
	now := time.Date(2026, time.March, 1, 10, 0, 0, 0, time.UTC)
	r := New(1, func() time.Time { return now })
	kept := func() (n int) {
		for i := range r.shards {
			n += len(r.shards[i].windows)
		}
		return n
	}
	for i := range 2 * shards * most {
		r.Take(strconv.Itoa(i))
	}
	if n := kept(); n > shards*most || n < shards*most*9/10 {
		t.Errorf("within a minute: got %d remembered, want at most %d", n, shards*most)
	}
	now = now.Add(Length)
	for i := range 1000 {
		r.Take(fmt.Sprint("later", i))
	}
	if n := kept(); n != 1000 {
		t.Errorf("a minute later: got %d remembered, want 1000", n)
	}
	if w := r.Take("later0"); w.Used != 2 {
		t.Errorf("one that came again: got %+v", w)
	}
}

// Of requests that come at once exactly as many pass as may.
func TestRequestsAtOnce(t *testing.T) {
	r := New(100, nil)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				if !r.Take(strconv.Itoa(i % 2)).Over() {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := passed.Load(); got != 200 {
		t.Errorf("got %d requests of two credentials passed, want 200", got)
	}
}
