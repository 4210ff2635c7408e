package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
)

// kept is everything that a page can tell: scenarios with the floor, with peers, and
// a long run.
func kept() []Kept {
	facts := machine.Facts{Commit: "c0ffee", Code: "abc", Machine: "2 cores", Disk: "ext4"}
	flat := Scenario{Name: "flat", Title: "a test", BaseName: "floor", TestName: "sluice"}
	peers := Scenario{Name: "peers-flat", Title: "beside peers", BaseName: "floor", TestName: "sluice", Others: []string{"Collector, fsync", "syslog-ng"},
		Absent: []string{"syslog-ng: it is not installed"}}
	for n := range 5 {
		v := float64(n)
		base, test := &Result{Acked: 100, Delivered: 100, E2EP50: 2, E2EP99: 20}, &Result{Acked: 110 + 10*v, Delivered: 90, E2EP50: 1, E2EP99: 10}
		flat.Rounds = append(flat.Rounds, Round{Base: base, Test: test})
		peers.Rounds = append(peers.Rounds, Round{Base: base, Test: test, Others: map[string]*Result{"Collector, fsync": {Acked: 7, Delivered: 6}}})
	}
	flat.Rounds[0].Began = time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	flat.Rounds[4].Began = flat.Rounds[0].Began.AddDate(0, 0, 1)
	ratio := func(get func(*Result) float64) func(base, test *Result) float64 {
		return func(base, test *Result) float64 { return get(test) / get(base) }
	}
	flat.Judge([]Measure{{Name: "acked / floor", Target: ">= 1", Value: ratio(func(r *Result) float64 { return r.Acked }), Reached: AtLeast(1)},
		{Name: "delivered / floor", Target: ">= 1.1", Value: ratio(func(r *Result) float64 { return r.Delivered }), Reached: AtLeast(1.1)},
		{Name: "just told", Value: func(_, _ *Result) float64 { return 3 }}})
	soak := Scenario{Name: "soak", Title: "half an hour", TestName: "sluice",
		Rounds: []Round{{Test: &Result{Extra: map[string]float64{"pages ms": 4}, Series: map[string][]Point{}}}}}
	for n := range 1000 {
		for _, name := range []string{SeriesRSS, SeriesGoroutines, SeriesFiles, SeriesLog, SeriesLag} {
			soak.Rounds[0].Test.Series[name] = append(soak.Rounds[0].Test.Series[name], Point{float64(n), 100})
		}
	}
	return []Kept{{facts, "1m0s", flat}, {facts, "1m0s", peers}, {facts, "30m0s", soak}}
}

func TestPage(t *testing.T) {
	p := Page{Kept: kept(), Charts: "charts"}
	text := p.Markdown()
	for _, want := range []string{
		"| abc (at commit c0ffee) | 2 cores | ext4 | 0s / 0s (0 syncs) | flat (1m0s, 5 rounds, 2026-11-23 to 2026-11-24), peers-flat (1m0s, 5 rounds, 0001-01-01), soak (30m0s, 1 round, 0001-01-01) |",
		"| flat | acked / floor | >= 1 | 1.30 (1.10-1.50) | 5 | reached |", "|  | delivered / floor | >= 1.1 | 0.90 | 5 | **missed** |",
		"|  | just told | - | 3 | 5 |  |", "| Collector, fsync | 7 | 6 |", "Left out: syslog-ng: it is not installed",
		"| soak | sluice | pages ms | 4 |", "](charts/floor.svg)", "](charts/latency.svg)", "](charts/peers.svg)", "](charts/soak.svg)", "](charts/backlog.svg)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("page: got\n%s\nwant %q in it", text, want)
		}
	}
	files := p.Files()
	if got, want := len(files), len(drawings()); got != want {
		t.Errorf("charts: got %d, want %d", got, want)
	}
	for name, svg := range files {
		if len(svg) > 20_000 || !strings.HasPrefix(string(svg), "<svg ") {
			t.Errorf("%s: got %d bytes, want a chart of at most 20,000", name, len(svg))
		}
	}
	if n := strings.Count(string(files["floor.svg"]), `class="t"`); n != 2 {
		t.Errorf("targets in the chart: got %d, want those of accepted and delivered", n)
	}
	if strings.Contains(string(files["floor.svg"]), "peers-flat") {
		t.Error("floor.svg: peers have a chart of their own")
	}
}

func TestPageWithoutRounds(t *testing.T) {
	p := Page{}
	if got := p.Markdown(); !strings.Contains(got, "No rounds are kept") || len(p.Files()) != 0 {
		t.Errorf("page: got %q and %d charts, want that there is nothing", got, len(p.Files()))
	}
}

func TestInsert(t *testing.T) {
	document := "# By hand\n\n" + Begin + "\nold\n" + End + "\n\nmore by hand\n"
	got, err := Insert(document, "new\n")
	if want := fmt.Sprintf("# By hand\n\n%s\n\nnew\n\n%s\n\nmore by hand\n", Begin, End); err != nil || got != want {
		t.Errorf("document: got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"", Begin, End, End + Begin} {
		if _, err := Insert(bad, "new"); err == nil {
			t.Errorf("document %q: got no error", bad)
		}
	}
}
