package control

import (
	"net/netip"
	"sync"
	"time"
)

// How signing in is slowed down.
const (
	freeFailures = 5 // without a delay
	firstDelay   = time.Second
	longestDelay = 15 * time.Minute
	// forgetAfter is the time without a try after which failures are forgotten.
	forgetAfter = time.Hour
	maxThrottle = 10_000 // names, and addresses, that are remembered
	// familiarFor is how long an address counts as one of a name's own.
	familiarFor = 30 * 24 * time.Hour
)

// throttle slows down who tries passwords, by name and by address. A try counts
// as a failure from its beginning until it succeeds, so that many at once gain
// nothing. An address from which a name has signed in is counted for itself there:
// strangers who guess cannot keep the person out.
type throttle struct {
	mu       sync.Mutex
	entries  [2]map[string]tries  // by folded name, by network
	familiar map[string]time.Time // by name and network, when it was used last
}

// tries are the failures in a row, with the time of the last one.
type tries struct {
	failures int
	last     time.Time
}

func newThrottle() *throttle {
	return &throttle{entries: [2]map[string]tries{{}, {}}, familiar: map[string]time.Time{}}
}

// nameKey is what tries of a name from an address are counted by; mu is held.
func (t *throttle) nameKey(now time.Time, name string, addr netip.Addr) string {
	pair := name + "\x00" + network(addr) // no name has this character
	if at, ok := t.familiar[pair]; ok && now.Sub(at) < familiarFor {
		return pair
	}
	return name
}

// remember makes an address one of a name's own; mu is held.
func (t *throttle) remember(now time.Time, name string, addr netip.Addr) {
	if !addr.IsValid() {
		return
	}
	if len(t.familiar) >= maxThrottle {
		oldest, at := "", now
		for pair, used := range t.familiar {
			if oldest == "" || used.Before(at) {
				oldest, at = pair, used
			}
		}
		delete(t.familiar, oldest)
	}
	t.familiar[name+"\x00"+network(addr)] = now
}

// delay returns how long nothing is tried after so many failures.
func (e tries) delay() time.Duration {
	if e.failures < freeFailures {
		return 0
	}
	d := firstDelay
	for range e.failures - freeFailures {
		if d *= 2; d >= longestDelay {
			return longestDelay
		}
	}
	return d
}

// network is what an address is counted by: an IPv6 subscriber has a /64.
func network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	if !addr.IsValid() {
		return "" // not known: only names count
	}
	return addr.String()
}

// begin counts a try, or returns how long the caller must wait before the next
// one. failures are those of the name with this one.
func (t *throttle) begin(now time.Time, name string, addr netip.Addr) (wait time.Duration, failures int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := [2]string{t.nameKey(now, name, addr), network(addr)}
	for i, key := range keys {
		e := t.entries[i][key]
		if now.Sub(e.last) >= forgetAfter {
			delete(t.entries[i], key)
			continue
		}
		wait = max(wait, e.delay()-now.Sub(e.last))
	}
	if wait > 0 {
		return wait, 0
	}
	for i, key := range keys {
		if key == "" {
			continue
		}
		e, known := t.entries[i][key]
		if !known {
			t.makeRoom(i, now)
		}
		t.entries[i][key] = tries{e.failures + 1, now}
	}
	return 0, t.entries[0][keys[0]].failures
}

// makeRoom forgets what is old, or else the oldest; mu is held.
func (t *throttle) makeRoom(i int, now time.Time) {
	if len(t.entries[i]) < maxThrottle {
		return
	}
	oldest, at := "", now
	for key, e := range t.entries[i] {
		switch {
		case now.Sub(e.last) >= forgetAfter:
			delete(t.entries[i], key)
		case oldest == "" || e.last.Before(at):
			oldest, at = key, e.last
		}
	}
	if len(t.entries[i]) >= maxThrottle {
		delete(t.entries[i], oldest)
	}
}

// succeeded forgets the failures of the name, and this try of the address: who
// owns one account does not get more tries at others.
func (t *throttle) succeeded(now time.Time, name string, addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.entries[0], t.nameKey(now, name, addr))
	t.takeBack(1, network(addr))
	t.remember(now, name, addr)
}

// undone forgets a try that the server could not carry out.
func (t *throttle) undone(now time.Time, name string, addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeBack(0, t.nameKey(now, name, addr))
	t.takeBack(1, network(addr))
}

func (t *throttle) takeBack(i int, key string) {
	e, ok := t.entries[i][key]
	if !ok {
		return
	}
	if e.failures--; e.failures <= 0 {
		delete(t.entries[i], key)
		return
	}
	t.entries[i][key] = e
}
