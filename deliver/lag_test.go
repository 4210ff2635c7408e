package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/store"
)

// lagOf returns the samples of a stream as lines, hour and minute with what
// waited and for how many minutes.
func lagOf(t *testing.T, w *world, id sluice.StreamID, since time.Time) []string {
	t.Helper()
	list, err := w.d.Lag(t.Context(), id, since)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, s := range list {
		if i > 0 && !s.Time.After(list[i-1].Time) {
			t.Errorf("samples: got %s after %s", s.Time, list[i-1].Time)
		}
		out = append(out, fmt.Sprintf("%s %d %.0f", s.Time.Format("15:04"), s.Events, s.Age.Minutes()))
	}
	return out
}

func lagRecords(t *testing.T, w *world, prefix string) (keys []string, largest int) {
	t.Helper()
	for rec, err := range w.store.List(context.Background(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(rec.Key, "lag/") {
			keys, largest = append(keys, rec.Key), max(largest, len(rec.Value))
		}
	}
	return keys, largest
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// What waits is known for each ten minutes in which the server ran, also of a
// stream that is paused or has a filter, over a restart, and until all is gone.
// A stream that is up to date takes no room.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight
		w := newWorld(t, Options{})
		w.stream(1, "acme", func(s *Stream) { s.Filter = sluice.Filter{EventTypes: []string{"b"}} })
		w.stream(2, "acme")
		w.post("acme", "a", 3)
		time.Sleep(12*time.Minute + time.Second) // not when it is looked
		wantLines(t, "up to date", lagOf(t, w, 1, time.Time{}), []string{"00:00 0 0", "00:10 0 0"})
		if keys, _ := lagRecords(t, w, activityPrefix); len(keys) > 0 {
			t.Errorf("streams that are up to date: got records %q, want none", keys)
		}
		w.change(1, func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 5)
		time.Sleep(10 * time.Minute) // 00:22
		w.post("acme", "b", 4)
		time.Sleep(10 * time.Minute)
		w.stop()
		time.Sleep(time.Hour) // 01:32
		w.start()
		time.Sleep(10 * time.Minute)
		wantLines(t, "paused", lagOf(t, w, 1, time.Time{}),
			[]string{"00:00 0 0", "00:10 0 0", "00:20 5 8", "00:30 9 18", "01:30 9 81", "01:40 9 88"})
		wantLines(t, "since", lagOf(t, w, 1, time.Now().Add(-13*time.Minute)), []string{"01:30 9 81", "01:40 9 88"})
		w.change(1, func(s *Stream) { s.Paused = false })
		time.Sleep(10 * time.Minute)
		wantLines(t, "resumed", lagOf(t, w, 1, time.Now().Add(-13*time.Minute)), []string{"01:40 9 88", "01:50 0 0"})
		wantLines(t, "the other stream", lagOf(t, w, 2, time.Now().Add(-30*time.Minute)), []string{"01:30 0 0", "01:40 0 0", "01:50 0 0"})
		if keys, _ := lagRecords(t, w, activityPrefix); len(keys) != 1 || !strings.HasPrefix(keys[0], activityPrefix+"1/audit/lag/") {
			t.Errorf("got records %q, want one of the first stream", keys)
		}
		if _, err := w.d.Lag(t.Context(), 99, time.Time{}); err == nil {
			t.Error("got no error for a stream that is not there")
		}
		w.stop()
	})
}

// Samples are forgotten after a week, take little room, and go with the stream.
func TestLagIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.stream(1, "acme", func(s *Stream) { s.Paused = true })
		for range 20 {
			w.post("acme", "a", 500)
			time.Sleep(12 * time.Hour)
		}
		if got, want := len(lagOf(t, w, 1, time.Time{})), int(MaxActivity/LagEvery); got != want {
			t.Errorf("got %d samples, want %d", got, want)
		}
		keys, largest := lagRecords(t, w, "")
		if most := 8 * (1 + len(w.d.order)); len(keys) > most || largest > 144*9 {
			t.Errorf("got %d records of at most %d bytes, want %d, eight days of the lane and of each partition, of some bytes a sample", len(keys), largest, most)
		}
		if _, err := w.d.Remove(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		delete(w.confs, 1)
		time.Sleep(time.Hour)
		if keys, _ := lagRecords(t, w, activityPrefix); len(keys) > 0 {
			t.Errorf("a removed stream keeps %q", keys)
		}
		w.stop()
	})
}

// A lane that was removed while it was looked at gets no record.
func TestLagOfRemoved(t *testing.T) {
	js := newJournals(store.NewMemory(), slog.New(slog.DiscardHandler))
	gone, there := &lane{gone: true}, &lane{}
	if err := js.keep(t.Context(), []laneSample{{gone, "gone/", sample{1, 1, 1}}, {there, "there/", sample{1, 2, 3}}}); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]sample{"gone/": nil, "there/": {{1, 2, 3}}} {
		got, err := js.samples(t.Context(), prefix, time.Unix(0, 0), time.Unix(6000, 0))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v and error %v, want %v", prefix, got, err, want)
		}
	}
}

// All lanes have to be looked at for a figure, which is their sum. What is of a
// clock that was wrong goes, and so does what cannot be read.
func TestLagOfLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := newJournals(store.NewMemory(), slog.New(slog.DiscardHandler))
		s := &stream{id: 7}
		for _, name := range []string{"audit", "git"} {
			s.lanes = append(s.lanes, &lane{s: s, p: &part{name: name}})
		}
		d := &Deliverer{journals: js, streams: map[sluice.StreamID]*stream{7: s}}
		w := &world{d: d}
		audit, git := s.lanes[0], s.lanes[1]
		now := slotOf(time.Now())
		keep := func(l *lane, prefix string, at int64, pending, minutes uint64) {
			t.Helper()
			if err := js.keep(t.Context(), []laneSample{{l, prefix, sample{now + at, pending, minutes * 60}}}); err != nil {
				t.Fatal(err)
			}
		}
		day := int64(24 * time.Hour / LagEvery)
		for _, at := range []int64{2 * day, 0, 5, 1, 2} {
			keep(nil, "lag/audit/", at, 0, 0)
			keep(audit, lagPrefixOf(audit), at, 10, 3)
		}
		for _, at := range []int64{0, 2} {
			keep(nil, "lag/git/", at, 0, 0)
		}
		keep(git, lagPrefixOf(git), 2, 5, 40)
		keep(git, lagPrefixOf(git), 2, 7, 40)
		wantLines(t, "before its time", lagOf(t, w, 7, time.Time{}), []string{"00:00 10 3"})
		time.Sleep(3 * 24 * time.Hour)
		wantLines(t, "both lanes", lagOf(t, w, 7, time.Time{}), []string{"00:00 10 3", "00:20 17 40"})
		keep(audit, lagPrefixOf(audit), 3*day, 1, 1)
		if got, err := js.samples(t.Context(), lagPrefixOf(audit), time.Time{}, time.Now().Add(24*time.Hour)); err != nil || len(got) != 4 {
			t.Errorf("got %v and error %v, want 0, 1, 2 of the first day, and now", got, err)
		}
	})
	if got, want := readSamples(append(addSample(nil, sample{5, 6, 7}), 0x80)), []sample{{5, 6, 7}}; !reflect.DeepEqual(got, want) {
		t.Errorf("damaged: got %v, want %v", got, want)
	}
	if got, want := readSamples(addSample([]byte{5, 6}, sample{9, 1, 2})), []sample{{9, 1, 2}}; !reflect.DeepEqual(got, want) {
		t.Errorf("added to what is damaged: got %v, want %v", got, want)
	}
}

// Without a store that takes it, a look does not count.
func TestLagNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.stream(1, "acme", func(s *Stream) { s.Paused = true })
		w.post("acme", "a", 5)
		time.Sleep(12*time.Minute + time.Second) // not when it is looked
		w.full.Store(true)
		time.Sleep(30 * time.Minute) // to 00:42
		w.full.Store(false)
		time.Sleep(2 * time.Minute)
		wantLines(t, "with a full disk", lagOf(t, w, 1, time.Time{}), []string{"00:00 5 1", "00:10 5 10", "00:40 5 43"})
		w.stop()
	})
}
