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
	stopped(t, startServer(t, data, http.DefaultClient))
	shown := metricNames(t, startServer(t, data, http.DefaultClient))

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
		if !shown[name] {
			t.Errorf("no metric is called %s", name)
		}
	}
	testRefusedRules(t, program, rules)
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
