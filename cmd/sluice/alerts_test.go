package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAlerts reads contrib/prometheus/sluice.rules.yml as Prometheus does, and looks
// for every metric that it, docs/operations.md and docs/api/native.md name, in what a
// server answers that was started before.
func TestAlerts(t *testing.T) {
	const program = "../../bin/testservers/promrules"
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/testservers/promrules is missing: run scripts/prepare, which builds it")
	}
	data := filepath.Join(t.TempDir(), "data")
	first := startServer(t, data, http.DefaultClient)
	fresh := metricsOf(t, first)
	stopped(t, first)
	again := startServer(t, data, http.DefaultClient)
	shown := metricNames(t, again)

	rules := filepath.Join("..", "..", "contrib", "prometheus", "sluice.rules.yml")
	out, err := exec.CommandContext(t.Context(), program, rules).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", rules, err, out)
	}
	named := strings.Fields(string(out))
	if len(named) < 15 {
		t.Errorf("%s: got metrics %q, want those of all alerts", rules, named)
	}
	for _, page := range []string{"operations.md", "api/native.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, regexp.MustCompile(`\bsluice_[a-z_]+`).FindAllString(string(text), -1)...)
	}
	for _, name := range named {
		name = strings.TrimSuffix(name, "_bucket")
		if !shown[name] && name != "up" { // Prometheus' own
			t.Errorf("no metric is called %s", name)
		}
	}
	testRefusedRules(t, program, rules)
	testFiring(t, program, rules, fresh, metricsOf(t, again))
}

// testFiring: a dead server, one that no job watches, one without a snapshot, one
// whose snapshot is old and one that refused posts, however shortly, are told of, and a healthy one is not.
func testFiring(t *testing.T, program, rules, fresh, again string) {
	t.Helper()
	const up, down = "up{job=\"sluice\",instance=\"a\"} 1\n", "up{job=\"sluice\",instance=\"a\"} 0\n"
	old := regexp.MustCompile(`(?m)^(sluice_control_snapshot_timestamp_seconds) .*`).ReplaceAllString(again, "$1 1.7e9")
	// failed are requests that were not stored, as counted in each of the last minutes.
	failed := func(counts ...string) string {
		return regexp.MustCompile(`(?m)^(sluice_ingest_requests_total\{result="failed"\}) .*`).ReplaceAllString(up+again, "$1 "+strings.Join(counts, " "))
	}
	space := regexp.MustCompile(`(?m)^sluice_space_free_bytes .*`) // that of the machine does not matter
	for _, test := range []struct{ name, samples, want string }{
		{"healthy", up + again, ""},
		{"dead", down, "SluiceDown"},
		{"not watched", again, "SluiceDown"},
		{"no snapshot", up + fresh, "SluiceSnapshotOld"},
		{"old snapshot", up + old, "SluiceSnapshotOld"},
		{"a post refused just now", failed("0", "1"), "SluiceRefusedSome"},
		{"posts refused ten minutes ago", failed("0", "3", "3", "3", "3", "3", "3", "3", "3", "3", "3", "3"), "SluiceRefusedSome"},
		{"posts refused twenty minutes ago", failed(strings.Fields("0" + strings.Repeat(" 3", 20))...), ""},
		{"posts refused all the time", failed(strings.Fields("0 1 2 3 4 5 6 7 8 9 10")...), "SluiceRefusesEvents\nSluiceRefusedSome"},
		{"not ready", up + strings.Replace(again, "\nsluice_ready 1", "\nsluice_ready 0", 1), "SluiceNotReady"},
	} {
		cmd := exec.CommandContext(t.Context(), program, rules, "firing")
		cmd.Stdin = strings.NewReader(space.ReplaceAllString(test.samples, "sluice_space_free_bytes 1e15"))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != test.want {
			t.Errorf("%s: got alerts %q (%v), want %q", test.name, got, err, test.want)
		}
	}
}

// metricNames returns the names of a server's metrics.
func metricNames(t *testing.T, s *running) map[string]bool {
	t.Helper()
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(metricsOf(t, s), -1) {
		shown[m[1]] = true
	}
	if len(shown) < 30 {
		t.Fatalf("got %d metrics, want those of a server", len(shown))
	}
	return shown
}

// testRefusedRules: the program finds what Prometheus would not take.
func testRefusedRules(t *testing.T, program, rules string) {
	t.Helper()
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"predict_linear(", "predict_line("}, {"for: 1m", "for: soon"}, {"{{ $labels.instance }}", "{{ $labels.instance }"}, {"- alert: SluiceNotReady", "- alarm: SluiceNotReady"}} {
		path := filepath.Join(t.TempDir(), "rules.yml")
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), program, path).CombinedOutput(); err == nil {
			t.Errorf("rules with %q are taken: %s", change[1], out)
		}
	}
}
