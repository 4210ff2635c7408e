// Package quota bounds how many requests one credential may make in a minute, so
// that a script in a loop does not take the server from everybody else.
//
// The window of a credential begins with its first request and ends a minute
// later; the next request begins another one. Windows that have ended are
// forgotten when room is needed for others. Nothing runs in between, and memory is
// bounded whatever the number of credentials.
//
// Places bound what is under way at once, of all and of each who asks.
package quota

import (
	"hash/maphash"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
)

const (
	// Length is how long a window is.
	Length = time.Minute
	// shards is how many locks share the credentials.
	shards = 16
	// most is how many credentials one of them remembers. When more come within a
	// minute, one is forgotten and begins anew: its limit is then higher than said,
	// which refuses nobody who is within it.
	most = 4096
)

// Requests counts the requests of each credential. It may be used by several
// goroutines at once. A nil *Requests sets no limit.
type Requests struct {
	limit  int
	now    func() time.Time
	seed   maphash.Seed
	shards [shards]shard
}

// shard holds the windows of some credentials.
type shard struct {
	mu      sync.Mutex // held for what follows
	windows map[string]counted
	swept   time.Time // when those that had ended were forgotten last
}

// counted is a window as it is remembered.
type counted struct {
	end  time.Time
	used int
}

// New returns what allows each credential a number of requests in a minute; 0 is
// no limit. now is the clock, [time.Now] when it is nil.
func New(limit int, now func() time.Time) *Requests {
	if limit <= 0 {
		return nil
	}
	if now == nil {
		now = time.Now
	}
	r := &Requests{limit: limit, now: now, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].windows = map[string]counted{}
	}
	return r
}

// Take counts a request of a credential and returns its window, in which the
// request may be one too many. "" is nobody in particular, who has no limit.
func (r *Requests) Take(key string) Window { return r.count(key, 1) }

// Admit counts a request of a credential, tells of its window in h, and returns
// what the caller is told when the request is one too many.
func (r *Requests) Admit(h http.Header, key string) error {
	w := r.Take(key)
	w.SetHeader(h)
	return w.Err()
}

// Look returns the window of a credential and counts nothing.
func (r *Requests) Look(key string) Window { return r.count(key, 0) }

func (r *Requests) count(key string, n int) Window {
	if r == nil || key == "" {
		return Window{}
	}
	now := r.now()
	s := &r.shards[maphash.String(r.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.windows[key]
	if !known || !now.Before(c.end) {
		c = counted{end: now.Add(Length)}
	}
	if n > 0 {
		if !known {
			s.makeRoom(now)
		}
		c.used = min(c.used+n, 1<<30)
		s.windows[key] = c
	}
	return Window{Limit: r.limit, Used: c.used, end: c.end, now: now, over: n > 0 && c.used > r.limit}
}

// makeRoom forgets what has ended, each minute at most, and one window more when
// that is not enough.
func (s *shard) makeRoom(now time.Time) {
	if len(s.windows) < most && now.Sub(s.swept) < Length {
		return
	}
	if now.Sub(s.swept) >= Length {
		s.swept = now
		for key, c := range s.windows {
			if !now.Before(c.end) {
				delete(s.windows, key)
			}
		}
	}
	for key := range s.windows {
		if len(s.windows) < most {
			return
		}
		delete(s.windows, key)
	}
}

// Window is the minute of a credential at the time of a request. The zero Window
// has no limit.
type Window struct {
	Limit    int // 0: there is none
	Used     int // requests so far, those that were refused included
	end, now time.Time
	over     bool
}

// Over reports whether the request that was counted is one too many.
func (w Window) Over() bool { return w.over }

// Left returns how many requests may still come.
func (w Window) Left() int { return max(0, w.Limit-w.Used) }

// Reset returns when the window has surely ended, in seconds since 1970.
func (w Window) Reset() int64 { return w.end.Add(time.Second - 1).Unix() }

// Wait returns after how many seconds, 1 or more, the window has surely ended.
func (w Window) Wait() int { return max(1, int((w.end.Sub(w.now)+time.Second-1)/time.Second)) }

// Err returns what a caller is told whose request is refused, nil when it is not.
func (w Window) Err() error {
	if !w.Over() {
		return nil
	}
	e := sluice.Errorf(sluice.RateLimited, "this credential's %d requests a minute are used up", w.Limit).
		WithHint("wait %d s, as the header Retry-After says", w.Wait())
	e.Wait = time.Duration(w.Wait()) * time.Second
	return e
}

// SetHeader tells of the window in the headers that GitLab has for it
// (https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/), and
// when the request is refused, how long to wait.
func (w Window) SetHeader(h http.Header) {
	if w.Limit == 0 {
		return
	}
	h.Set("RateLimit-Limit", strconv.Itoa(w.Limit))
	h.Set("RateLimit-Observed", strconv.Itoa(w.Used))
	h.Set("RateLimit-Remaining", strconv.Itoa(w.Left()))
	h.Set("RateLimit-Reset", strconv.FormatInt(w.Reset(), 10))
	if w.Over() {
		h.Set("Retry-After", strconv.Itoa(w.Wait()))
	}
}
