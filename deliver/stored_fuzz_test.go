package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// FuzzMinutes reads counts by minute that are anything at all: in the order of
// their times, and as they were written.
func FuzzMinutes(f *testing.F) {
	var l minuteLog
	for i := range 5 {
		l.add(minute{at: int64(29_000_000 + i*i), delivered: uint64(i), bytes: 1 << (8 * i), failures: uint64(i % 2)})
	}
	f.Add(l.b)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		list := readMinutes(b)
		if len(list) > len(b)/4 {
			t.Fatalf("%d bytes: got %d minutes", len(b), len(list))
		}
		var again minuteLog
		last := int64(0)
		for _, m := range list {
			if m.at < last || m.at > maxMinute {
				t.Fatalf("got minute %d after %d", m.at, last)
			}
			if m.at > last {
				again.add(m)
			}
			last = m.at
		}
		if back := readMinutes(again.b); len(back) > 0 && !slices.Contains(list, back[len(back)-1]) {
			t.Fatalf("written and read again: got %v of %v", back, list)
		}
	})
}

// FuzzSamples reads what waited, and adds to it.
func FuzzSamples(f *testing.F) {
	b := addSample(addSample(nil, sample{slot: 2_900_000, pending: 5, age: 60}), sample{slot: 2_900_001, pending: 1 << 40})
	f.Add(b, int64(2_900_001), uint64(7))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 1}, int64(3), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, slot int64, pending uint64) {
		list := readSamples(b)
		if len(list) > len(b)/3 {
			t.Fatalf("%d bytes: got %d samples", len(b), len(list))
		}
		for i, s := range list {
			if s.slot < 0 || s.slot > maxSlot || i > 0 && s.slot < list[i-1].slot {
				t.Fatalf("got sample %+v after %+v", s, list[:i])
			}
		}
		if slot < 0 || slot > maxSlot {
			return
		}
		out := readSamples(addSample(slices.Clone(b), sample{slot: slot, pending: pending, age: 1}))
		if n := len(out); n == 0 || out[n-1] != (sample{slot: slot, pending: pending, age: 1}) {
			t.Fatalf("added to %v: got %v, want slot %d at the end", list, out, slot)
		}
	})
}

// FuzzRecord starts on a lane record and an upload plan that are anything at all:
// an error names the record, and what is read leaves as it came.
func FuzzRecord(f *testing.F) {
	full := record{Stream: 1, Scope: "acme", Version: 2, Epoch: 3, Cursor: 7, Total: 7, Delivered: 5, Expired: 1, Quarantined: []uint64{6}, QuarantinedBytes: 100, Behind: true,
		Hole: &hole{First: 3, Last: 4, Cause: "retention"}, Plan: &plan{}, End: &Start{Seq: 9, Total: 9}, Trouble: &troubleRecord{}, Outbox: []Notice{{}}}
	value, err := json.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []string{string(value), `{}`, `null`, `{"cursor":18446744073709551615,"quarantined":[3,3,2]}`, `{"cursor":-1}`, `[]`, `{"plan":null,"scope":7}`} {
		f.Add("1/audit", []byte(v))
		f.Add("1", []byte(v))
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		key = lanePrefix + key
		s := store.NewMemory()
		if errors.Join(s.Apply(t.Context(), store.Change{Key: key, Value: value})...) != nil {
			return // no store takes it
		}
		if _, err := Floors(t.Context(), s); err != nil {
			if !strings.Contains(err.Error(), "lane record") {
				t.Fatalf("floors: got %v, want an error that names the record", err)
			}
			return
		}
		synctest.Test(t, func(t *testing.T) { loadFuzzed(t, s) })
	})
}

func loadFuzzed(t *testing.T, s *store.Memory) {
	log, err := eventlog.Open(t.Context(), eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}), eventlog.Options{ID: eventlog.LogID{1}})
	if err != nil {
		t.Fatal(err)
	}
	d := New(log, s, Options{Logger: slog.New(slog.DiscardHandler), Spool: t.TempDir(), Emit: func(context.Context, Notice) error { return nil }})
	if err := d.Load(t.Context()); err != nil {
		t.Fatalf("load of a record that was read before: %v", err)
	}
	for key, stored := range d.stored {
		b, err := json.Marshal(stored.rec)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		var back record
		if err := json.Unmarshal(b, &back); err != nil || back.Cursor != stored.rec.Cursor || !slices.Equal(back.Quarantined, stored.rec.Quarantined) {
			t.Fatalf("%s: written and read again it is %+v (%v)", key, back, err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}
