package control

import (
	"testing"

	"github.com/sluicelog/sluice/store"
)

// Days long past go when a new day begins.
func TestCountsAreForgotten(t *testing.T) {
	s := New(Config{Store: store.NewMemory()})
	for day := range int64(30) {
		for hour := range int64(3) {
			s.counts.give("acme", tally{day*24 + hour: {"user.add": 1}})
			s.storeCounts(t.Context())
		}
	}
	sum, records := uint64(0), 0
	for r, err := range s.store.List(t.Context(), countPrefix("acme")) {
		if err != nil {
			t.Fatal(err)
		}
		rec, _, err := store.Load[countRecord](t.Context(), s.store, r.Key)
		if err != nil {
			t.Fatal(err)
		}
		records++
		for _, types := range rec.Hours {
			sum += types["user.add"]
		}
	}
	if records != countDays || sum != countDays*3 {
		t.Errorf("after 30 days: got %d records with %d events, want %d with %d", records, sum, countDays, countDays*3)
	}
}

// What cannot be stored is kept.
func TestCountsWaitForTheStore(t *testing.T) {
	memory := store.NewMemory()
	s := New(Config{Store: memory})
	memory.SetBefore(func(store.Change) error { return store.ErrFull })
	s.counts.give("acme", tally{1: {"user.add": 5}})
	s.storeCounts(t.Context())
	if got := s.counts.fresh["acme"][1]["user.add"]; got != 5 {
		t.Errorf("got %d, want 5 kept", got)
	}
}

func TestMask(t *testing.T) {
	v := Stream{VerificationToken: "token", Config: []byte(`{"url":"https://jane:pw@x.example/a%2Fb?key=1#f","plain":"https://x.example/a","level":1,"headers":[{"name":"A","value":"b"},{"name":"C"}]}`)}
	if err := v.mask(); err != nil {
		t.Fatal(err)
	}
	want := `{"headers":[{"name":"A","value":"***"},{"name":"C"}],"level":1,"plain":"https://x.example/a","url":"https://***@x.example/a%2Fb?***#***"}`
	if string(v.Config) != want || v.VerificationToken != "" {
		t.Errorf("got %s and token %q, want %s", v.Config, v.VerificationToken, want)
	}
}
