package deliver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
)

// tally sums up what histories were made of, so that it shows when some of it is
// never met.
type tally struct {
	mu       sync.Mutex
	acts     map[string]int64
	fates    map[string]int64
	findings []string
}

// add counts a history, also one that broke off.
func (a *tally) add(t *testing.T, seed uint64, h *history) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.acts == nil {
		a.acts, a.fates = map[string]int64{}, map[string]int64{}
	}
	for _, line := range h.trace {
		if !strings.HasPrefix(line, " ") {
			for act := range strings.SplitSeq(line, ", ") {
				words := strings.TrimRight(act, "0123456789:")
				a.acts[strings.TrimSuffix(strings.TrimSpace(words), ":")]++
			}
		}
	}
	for _, m := range h.models {
		for _, f := range m.fates {
			a.fates["events "+string(cmp.Or(f, "pending"))]++
		}
	}
	if t.Failed() {
		a.findings = append(a.findings, fmt.Sprintf("history %d is not as its model: go test ./deliver -run TestRandomHistories -args -seed %d", seed, seed))
	}
}

func (a *tally) record() fault.Record {
	return fault.Record{
		Drill:    "Random histories",
		What:     "Delivery on ports in memory, in simulated time: random acts of people and faults of destinations, log, control state and process. After each, every ledger is compared with a model, and at the end each event with what arrived.",
		Command:  fmt.Sprintf("go test ./deliver -run TestRandomHistories -args -from %d -seeds %d", *from, *seeds),
		Seeds:    fmt.Sprintf("%d to %d", *from, *from+uint64(*seeds)-1),
		Faults:   counts(a.acts),
		Judged:   counts(a.fates),
		Findings: a.findings,
	}
}

func counts(of map[string]int64) []fault.Count {
	var list []fault.Count
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, fault.Count{Name: name, Count: of[name]})
	}
	return list
}
