package control

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unique"

	"github.com/sluicelog/sluice/store"
)

// testCounter is a counter without a log.
func testCounter(s store.Store) *counter { return newCounter(New(Config{Store: s}), "audit") }

// give counts an event as if it were in the block that ends at seq.
func (c *counter) give(seq uint64, top, path, eventType string, hour int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = seq
	c.pairs += c.tally(top, hour).add(path, unique.Make(eventType), 1, false)
}

// Days long past go when a new day begins.
func TestCountsAreForgotten(t *testing.T) {
	c := testCounter(store.NewMemory())
	for day := range int64(30) {
		for hour := range int64(3) {
			c.give(uint64(day*3+hour+1), "acme", "", "user.add", day*24+hour)
			if err := c.store(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	days, err := c.storedDays(t.Context(), "acme", 0)
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, d := range days {
		for i := range d.hours {
			sum += d.hours[i].tally.rows[0].cells[0].n
		}
	}
	if len(days) != countDays || sum != countDays*3 {
		t.Errorf("after 30 days: got %d records with %d events, want %d with %d", len(days), sum, countDays, countDays*3)
	}
}

// total sums what a counter knows of a namespace.
func (c *counter) total(t *testing.T, top string) (sum uint64) {
	t.Helper()
	if err := c.each(t.Context(), top, 0, func(_ int64, tally *tally) {
		for _, r := range tally.rows {
			for _, x := range r.cells {
				sum += x.n
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return sum
}

// What cannot be stored is kept, and what was stored although the answer was
// lost is not stored twice.
func TestCountsWaitForTheStore(t *testing.T) {
	memory := store.NewMemory()
	c := testCounter(memory)
	memory.SetBefore(func(store.Change) error { return store.ErrFull })
	c.give(5, "acme", "/web", "user.add", 1)
	if err := c.store(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("a full disk: got %v", err)
	}
	c.give(6, "acme", "/web", "user.add", 1)
	if got := c.total(t, "acme"); got != 2 {
		t.Errorf("not stored: got %d, want 2", got)
	}
	lost := errors.New("the answer was lost")
	memory.SetBefore(nil)
	memory.SetAfter(func(store.Change) error { return lost })
	for range 2 { // the days of a round, then its position
		if err := c.store(t.Context()); !errors.Is(err, lost) {
			t.Errorf("a lost answer: got %v", err)
		}
	}
	memory.SetAfter(nil)
	for range 2 { // what is left of that round, then the next one
		if err := c.store(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.total(t, "acme"); got != 2 || len(c.fresh) != 0 {
		t.Errorf("stored: got %d and %d days not stored, want 2 and none", got, len(c.fresh))
	}
}

// A tally of random events holds each of them somewhere, whatever the bounds, and
// those within the bounds where they belong; and a record holds the same.
func TestTallyHoldsAll(t *testing.T) {
	for _, c := range []struct {
		name         string
		paths, types int
		long         string
		full         bool
	}{
		{"few", 5, 3, "", false}, {"many types", 3, 300, "", false}, {"many namespaces", 5000, 3, "", false},
		{"both", 3000, 300, "", false}, {"long names", 500, 50, strings.Repeat("x", 250), false}, {"full", 50, 20, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var d day
			want := map[[2]string]uint64{}
			sum, pairs := uint64(0), 0
			for i := range 50_000 {
				path, name := fmt.Sprintf("/%s%d", c.long, r.IntN(c.paths)), fmt.Sprintf("%s%d", c.long, r.IntN(c.types))
				n := r.Uint64N(1000) + 1
				want[[2]string{path, name}] += n
				sum += n
				pairs += d.hour(7).add(path, unique.Make(name), n, c.full)
				if i%5000 == 0 { // as it goes on after a round
					d = reread(t, &d)
				}
			}
			tally := d.hour(7)
			got, all := map[[2]string]uint64{}, uint64(0)
			for _, row := range tally.rows {
				for _, x := range row.cells {
					all += x.n
					if row.path != otherNamespaces && x.name != otherType {
						got[[2]string{row.path, x.name.Value()}] = x.n
					}
				}
			}
			if all != sum {
				t.Errorf("got %d events, want %d", all, sum)
			}
			for k, n := range got {
				if n > want[k] {
					t.Errorf("%v: got %d, want at most %d", k, n, want[k])
				}
			}
			if c.name == "few" && !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			const bound = maxCountPairs + maxCountTypes + 1
			if pairs > bound || tally.pairs != pairs || len(tally.rows) > maxCountNamespaces+1 || tally.names > maxCountNames+2*len(c.long)+20 {
				t.Errorf("got %d and %d pairs, %d namespaces, %d bytes of names", pairs, tally.pairs, len(tally.rows), tally.names)
			}
			if c.full && len(tally.rows) > 1 {
				t.Errorf("full: got %d namespaces, want 1", len(tally.rows))
			}
		})
	}
}

func reread(t *testing.T, d *day) day {
	t.Helper()
	out, err := decodeDay(d.encode())
	if err != nil {
		t.Fatal(err)
	}
	return *out
}

func FuzzDecodeDay(f *testing.F) {
	var d day
	d.upto = 300
	d.hour(3).add("/web", unique.Make("user.add"), 5, false)
	d.hour(23).add("", unique.Make("user.add"), 1<<40, false)
	f.Add(d.encode())
	f.Add([]byte(`{"hours":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDay(b)
		if err != nil {
			return
		}
		again, err := decodeDay(d.encode())
		if err != nil || again.upto != d.upto || len(again.hours) != len(d.hours) {
			t.Errorf("got %v, error %v, want %v", again, err, d)
		}
	})
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
