package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

// What an attacker makes the throttle remember is bounded, and nobody gets more
// tries at one name by trying many.
func TestThrottleIsBounded(t *testing.T) {
	th := newThrottle()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range freeFailures {
		th.begin(now, "jane", netip.Addr{})
	}
	for i := range maxThrottle + 100 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		now = now.Add(time.Millisecond)
		if wait, _ := th.begin(now, fmt.Sprintf("name %d", i%50), addr); wait > 0 && i < 250 {
			t.Fatalf("try %d waits %v", i, wait)
		}
		th.begin(now, fmt.Sprintf("other %d", i), netip.Addr{})
	}
	for i, m := range th.entries {
		if len(m) > maxThrottle {
			t.Errorf("map %d has %d entries, want %d at most", i, len(m), maxThrottle)
		}
	}
	th = newThrottle()
	for range freeFailures {
		th.begin(now, "jane", netip.Addr{})
	}
	if wait, _ := th.begin(now.Add(forgetAfter), "jane", netip.Addr{}); wait != 0 {
		t.Errorf("after %v: waits %v, want what was is forgotten", forgetAfter, wait)
	}
}

// Strangers who guess do not keep a person out of an address that is the person's
// own, and gain no tries there.
func TestFamiliarAddress(t *testing.T) {
	th, now := newThrottle(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	office := netip.MustParseAddr("192.0.2.1")
	th.begin(now, "jane", office)
	th.succeeded(now, "jane", office)
	for i := range freeFailures {
		th.begin(now, "jane", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	if wait, _ := th.begin(now, "jane", netip.MustParseAddr("203.0.113.1")); wait == 0 {
		t.Error("another address may go on at once after five failures")
	}
	for i := range freeFailures {
		if wait, _ := th.begin(now, "jane", office); wait != 0 {
			t.Errorf("try %d from the own address waits %v", i, wait)
		}
	}
	if wait, _ := th.begin(now, "jane", office); wait == 0 {
		t.Error("the own address may go on at once after five failures of its own")
	}
	if wait, _ := th.begin(now.Add(familiarFor), "joe", office); wait != 0 {
		t.Errorf("another name from there, much later: waits %v", wait)
	}
	for i := range maxThrottle + 10 {
		th.succeeded(now.Add(time.Duration(i)), fmt.Sprint("name ", i), office)
	}
	if len(th.familiar) > maxThrottle {
		t.Errorf("got %d addresses remembered, want %d at most", len(th.familiar), maxThrottle)
	}
}

// Who signs in to an own account between tries at another one gains nothing.
func TestOwnSuccessDoesNotReset(t *testing.T) {
	th, now, addr := newThrottle(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), netip.MustParseAddr("192.0.2.1")
	for i := range freeFailures {
		if wait, _ := th.begin(now, "jane", addr); wait != 0 {
			t.Fatalf("try %d waits %v", i, wait)
		}
		if wait, _ := th.begin(now, "own", addr); wait == 0 {
			th.succeeded(now, "own", addr)
		}
	}
	if wait, _ := th.begin(now, "joe", addr); wait == 0 {
		t.Error("the address may go on at once after five failures")
	}
}

func TestNetworks(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1",
		"::ffff:192.0.2.1":      "192.0.2.1",
		"2001:db8::1":           "2001:db8::/64",
		"2001:db8::ffff:0:0:2":  "2001:db8::/64",
		"2001:db8:0:1::1%eth0":  "2001:db8:0:1::/64",
		"2001:db8:0:1:ffff::77": "2001:db8:0:1::/64",
	} {
		if got := network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
}

// Two passwords are worked on at once; some wait, further ones are refused.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(64)
		for range maxHashing {
			if _, err := h.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("gone")
		waited := make(chan error, maxHashWaiting)
		var wg sync.WaitGroup
		defer wg.Wait()
		for range maxHashWaiting {
			wg.Go(func() {
				_, err := h.digest(ctx, "a password")
				waited <- err
			})
		}
		synctest.Wait()
		if _, err := h.matches(t.Context(), "", "a password"); !isBusy(err) {
			t.Errorf("one too many: got %v, want busy", err)
		}
		cancel(left)
		for range maxHashWaiting {
			if err := <-waited; !errors.Is(err, left) {
				t.Errorf("one that waited: got %v, want %v", err, left)
			}
		}
	})
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sluice.Error](err)
	return ok && e.Code == sluice.Busy
}

func TestPasswordDigests(t *testing.T) {
	ctx, h := t.Context(), newHasher(64)
	stored, err := h.digest(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=64,t=2,p=1$") {
		t.Fatalf("got %s and error %v, want a PHC string", stored, err)
	}
	if again, _ := h.digest(ctx, "correct horse"); again == stored {
		t.Error("the same password has the same digest twice")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if got, err := newHasher(128).matches(ctx, stored, secret.Text(password)); got != want || err != nil {
			t.Errorf("%q: got %v and error %v, want %v", password, got, err, want)
		}
	}
	if ok, err := h.matches(ctx, "", ""); ok || err != nil {
		t.Errorf("nobody: got %v and error %v, want false", ok, err)
	}
	// What costs: the same for nobody as for somebody.
	want := strings.Join(strings.Split(stored, "$")[:4], "$")
	if got := strings.Join(strings.Split(h.nobody, "$")[:4], "$"); got != want {
		t.Errorf("nobody's digest: got %s, want the cost of %s", got, want)
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=64,t=2,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=2,p=1$?$?"} {
		if _, err := h.matches(ctx, bad, "p"); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}
