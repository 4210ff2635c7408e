package ingest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-([78])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestUUIDsRise(t *testing.T) {
	ids := newIDSource()
	last := ""
	for i, millis := range []uint64{1000, 1000, 999, 1001, 5, 2000, 2000} {
		for range 5000 {
			id := string(appendUUID(nil, ids.next(millis)))
			if m := uuid.FindStringSubmatch(id); m == nil || m[1] != "7" {
				t.Fatalf("got %q, want a UUID of version 7", id)
			}
			if id <= last {
				t.Fatalf("got %s after %s in step %d, want a higher one", id, last, i)
			}
			last = id
		}
	}
}

func TestUUIDCarries(t *testing.T) {
	ids := newIDSource()
	first := ids.next(7)
	ids.low, ids.high = 1<<lowBits-1, 1<<highBits-1
	second := ids.next(7)
	if slices.Compare(first[:], second[:]) >= 0 || ids.millis != 8 {
		t.Errorf("got %x after %x at %d ms, want a higher one at 8", second, first, ids.millis)
	}
}

func TestUUIDHoldsTheTime(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)
	id := newIDSource().next(uint64(at.UnixMilli()))
	var millis int64
	for _, c := range id[:6] {
		millis = millis<<8 | int64(c)
	}
	if got := time.UnixMilli(millis).UTC(); !got.Equal(at) {
		t.Errorf("got %v, want %v", got, at)
	}
}

func TestUUIDsAreUniqueAcrossGoroutines(t *testing.T) {
	ids := newIDSource()
	var all sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if id := ids.next(1); func() bool { _, seen := all.LoadOrStore(id, true); return seen }() {
					t.Errorf("got %x twice, want it once", id)
				}
			}
		})
	}
	wg.Wait()
}

// idsOf returns the ids of the stored audit events.
func idsOf(t *testing.T, d *memoryDoor) []string {
	t.Helper()
	var ids []string
	for _, event := range d.stored(t, "audit") {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(event), &e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

const idless = `{"event_type":"a","entity_path":"acme"}`

func TestIdempotencyKey(t *testing.T) {
	d := newDoor(t)
	h := New(d, Options{})
	body := strings.Repeat(idless+"\n", 3)
	if r := post(t, h, body, "Idempotency-Key", "k 1"); r.Accepted != 3 {
		t.Fatalf("got %s, want 3 accepted", r.text)
	}
	if r := post(t, h, "["+idless+","+idless+"\n,"+idless+"]", "Idempotency-Key", "k 1"); r.Accepted != 0 || r.Duplicates != 3 || r.Last["audit"] != 3 {
		t.Errorf("got %s, want 3 duplicates", r.text)
	}
	if r := post(t, h, body, "Idempotency-Key", "k 2"); r.Accepted != 3 {
		t.Errorf("got %s with another key, want 3 accepted", r.text)
	}
	other := request(strings.NewReader(body), "Idempotency-Key", "k 1")
	other.Header.Set("Authorization", "Bearer "+instanceToken)
	if r := serve(t, h, other); r.Accepted != 3 {
		t.Errorf("got %s with another token, want 3 accepted", r.text)
	}
	if r := post(t, h, body); r.Accepted != 3 {
		t.Errorf("got %s without a key, want 3 accepted", r.text)
	}
	ids := idsOf(t, d)
	for i, id := range ids {
		want := "8"
		if i >= 9 {
			want = "7"
		}
		if m := uuid.FindStringSubmatch(id); m == nil || m[1] != want {
			t.Errorf("got id %q at %d, want a UUID of version %s", id, i, want)
		}
	}
	slices.Sort(ids)
	if got, want := len(slices.Compact(ids)), 12; got != want {
		t.Errorf("got %d different ids, want %d", got, want)
	}
	// The derivation is part of the contract: sha256("tok_acme\0k 1\0" and 8 bytes).
	if got, want := idsOf(t, d)[0], "e1fa553d-dc06-86ce-82a8-ba4755d6e25d"; got != want {
		t.Errorf("got id %q, want %q", got, want)
	}
}

func TestGivenIDsStay(t *testing.T) {
	d := newDoor(t)
	if r := post(t, New(d, Options{}), good, "Idempotency-Key", "k"); r.status != http.StatusOK {
		t.Fatalf("got %s, want 200", r.text)
	}
	if got := d.stored(t, "audit")[0]; got != good {
		t.Errorf("got %s, want %s", got, good)
	}
}
