package oracle

import (
	"encoding/json"
	"strings"
	"testing"
)

// judged is an oracle with one stream of alpha, and events of which all were
// acknowledged and have arrived.
func judged(t *testing.T, events int) (*oracle, *stream, []entry) {
	t.Helper()
	o := &oracle{findings: &findings{}, books: newBooks(1)}
	sp := spec{Name: "s", Tenant: "alpha", Format: "ndjson", PoisonRate: 50}
	r := newReceiver(sp, 1, o.books, o.findings, nil, nil)
	t.Cleanup(r.close)
	s := &stream{spec: sp, receiver: r, id: 1, from: always, to: never, filters: []filter{{}}, done: map[string]int{}}
	list := o.books.issue(0, false, events)
	o.books.acknowledge(list)
	r.begin(1)
	for _, n := range list {
		if !sp.poison(o.books.maker, n) {
			r.count(n, true, false)
			s.final.Delivered++
		} else {
			s.final.Quarantined++
		}
		s.final.Accepted++
	}
	return o, s, o.books.list()
}

// verdictOf judges the events and the counts.
func verdictOf(o *oracle, s *stream, entries []entry) string {
	v := &verdict{o: o, s: s, held: s.receiver.shelf(), runs: map[int]*run{}}
	for i := range entries {
		v.event(&entries[i])
	}
	v.compare()
	list, _ := o.findings.list()
	return strings.Join(list, "\n")
}

func TestVerdict(t *testing.T) {
	healthy := func(o *oracle, s *stream) number {
		for _, e := range o.books.list() {
			if !s.spec.poison(o.books.maker, e.n) {
				return e.n
			}
		}
		return 0
	}
	for _, c := range []struct {
		name  string
		wrong func(o *oracle, s *stream)
		want  string // in the findings; "" for none
	}{
		{"right", func(*oracle, *stream) {}, ""},
		{"lost", func(o *oracle, s *stream) { s.receiver.counts[healthy(o, s).serial()] = 0 }, "is lost"},
		{"not counted", func(_ *oracle, s *stream) { s.final.Delivered-- }, "ledger is wrong"},
		{"quarantined too much", func(_ *oracle, s *stream) { s.final.Delivered--; s.final.Quarantined++ }, "ledger is wrong"},
		{"expired", func(_ *oracle, s *stream) { s.final.Accepted++; s.final.Expired++ }, "ledger is wrong"},
		{"foreign", func(_ *oracle, s *stream) { s.spec.Tenant = "beta" }, "not of this stream"},
		{"not wanted", func(_ *oracle, s *stream) { s.filters[0].Types = []string{"none"} }, "no filter wants"},
		{"repeated without reason", func(o *oracle, s *stream) { s.receiver.count(healthy(o, s), true, false) }, "same life"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, s, entries := judged(t, 300)
			c.wrong(o, s)
			got := verdictOf(o, s, entries)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("findings: got %q, want %q in them", got, c.want)
			}
		})
	}
}

func TestOrderIsJudged(t *testing.T) {
	o, s, _ := judged(t, 1)
	list := o.books.issue(0, false, 400)
	class := o.books.maker.traits(list[0])
	for _, n := range list[1:] {
		if x := o.books.maker.traits(n); x.class() == class.class() {
			s.receiver.count(n, true, false)
			break
		}
	}
	s.receiver.count(list[0], true, false)
	if got, _ := o.findings.list(); len(got) != 1 || !strings.Contains(got[0], "came first after") {
		t.Errorf("findings: got %q, want the wrong order", got)
	}
}

func TestPartitionsAreJudged(t *testing.T) {
	whole := ledger{Accepted: 5, Delivered: 4, Filtered: 1}
	for _, c := range []struct{ name, lanes, want string }{
		{"right", `[{"partition":"audit","ledger":{"accepted":3,"delivered":3}},{"partition":"git","ledger":{"accepted":2,"delivered":1,"filtered":1}}]`, ""},
		{"a partition is left out", `[{"partition":"audit","ledger":{"accepted":3,"delivered":3}}]`, "not the sum"},
		{"partitions that do not add up", `[{"partition":"audit","ledger":{"accepted":3,"delivered":2}},{"partition":"git","ledger":{"accepted":2,"delivered":2,"filtered":1}}]`, "audit: accepted 3"},
		{"no list", `7`, "not the sum"},
	} {
		o := &oracle{findings: &findings{}}
		o.addUp(&spec{Name: "s"}, &view{Ledger: whole, Lanes: json.RawMessage(c.lanes)})
		list, _ := o.findings.list()
		if got := strings.Join(list, ""); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
