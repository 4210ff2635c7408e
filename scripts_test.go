package sluice_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVuln: what govulncheck finds fails; that it cannot look is said in one line,
// and passes; anything else fails. The tool is a script here.
func TestVuln(t *testing.T) {
	for name, c := range map[string]struct {
		tool string // after the question whether the database is reached
		want string
		fail bool
	}{
		"nothing":           {`exit 0`, "vulnerabilities: none known\n", false},
		"a finding":         {`echo GO-2099-0001; exit 3`, "GO-2099-0001\nvulnerabilities: found, see above\n", true},
		"no database":       {`echo 'Get "https://vuln.go.dev/index/modules.json.gz": dial tcp: no such host' >&2; exit 1`, "could not be reached: Get", false},
		"lost on the way":   {`[ "$1" = -mode ] || { echo 'govulncheck: fetching vulnerabilities: EOF' >&2; exit 1; }`, "could not be reached: govulncheck: fetching", false},
		"it cannot compile": {`echo 'x.go:1: syntax error' >&2; exit 1`, "govulncheck failed", true},
		"other flags":       {`echo 'usage' >&2; exit 2`, "govulncheck failed", true},
		"too slow":          {`exit 124`, "did not answer", false},
	} {
		tool := filepath.Join(t.TempDir(), "govulncheck")
		if err := os.WriteFile(tool, []byte("#!/bin/sh\n"+c.tool+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "scripts/vuln")
		cmd.Env = append(os.Environ(), "GOVULNCHECK="+tool)
		out, err := cmd.CombinedOutput()
		if (err != nil) != c.fail || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: got %q and %v, want %q", name, out, err, c.want)
		}
		if !c.fail && strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: got %q, want one line", name, out)
		}
	}
}

// TestFuzzWantsTargets: a run of fuzzing that found no target has proved nothing.
func TestFuzzWantsTargets(t *testing.T) {
	for _, narrowed := range [][]string{{"PKGS=./absent"}, {"PKGS=./quota", "TARGETS=Nothing"}} {
		cmd := exec.CommandContext(t.Context(), "scripts/fuzz")
		cmd.Env = append(append(os.Environ(), "FUZZTIME=1s"), narrowed...)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no fuzz target") {
			t.Errorf("%q: got %q and %v, want an error", narrowed, out, err)
		}
	}
}
