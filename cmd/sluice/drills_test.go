package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asProgram in the environment makes the test binary the program itself.
const asProgram = "RUN_AS_SLUICE"

// seen is what the drills of a section show, as expressions, in this order.
func seen() map[string][]string {
	return map[string][]string{
		"The disk is lost":           {`is whole`, `Restored the state of`, `1  +acme +http +paused +5 +0 +0 +5 `, `installation\.restore.*\n(?:time=.*\n)*END`},
		"An older state is put back": {`sequence numbers skipped`, `sluice_log_skipped_events\{partition="audit"\} [1-9]`, `1  +acme +http +paused +3 +0 +0 +3 `},
		"A segment of the log is damaged": {`DAMAGE: events 2 to \d+: block is damaged`, `the log is damaged`, `sluice_log_damaged_ranges\{partition="audit"\} 1`, `stream\.gap`,
			`1  +acme +http +\w+ +\d+ +0 +0 +\d+ +0 +[1-9]\d\d`},
		"The disk is full":                   {`no_space`, "\n507\n", `sluice_space_low 1`, `1 accepted`},
		"The key file is lost":               {`the key file drill/sluice.key is missing`, `MISSING from the key file`, `1  +acme +http +held `, `Changed stream 1`, `\d  +current`},
		"The sealing key was seen by others": {`current`, "\n1\n"},
		damagedControl:                       {`control-\d+T\d+Z\.db`, `sluice control restore --data drill`, `1  +acme +http +paused +3 +0 +0 +3 `, "\nno such token\n"},
		"A destination is gone for days":     {`failing`, `refused`, `active`, `1  +acme +http +active +\d+ +[1-9]`},
	}
}

// damagedControl is the drill of docs/operations.md.
const damagedControl = "When control.db is damaged"

// TestDrills carries out every drill of docs/drills.md, and that of
// docs/operations.md, as it stands there, with real servers.
func TestDrills(t *testing.T) {
	t.Parallel()
	setup, drills := readDrills(t, filepath.Join("..", "..", "docs", "drills.md"))
	_, operations := readDrills(t, filepath.Join("..", "..", "docs", "operations.md"))
	drills[damagedControl] = operations[damagedControl]
	for name, want := range seen() {
		if drills[name] == "" {
			t.Errorf("there is no drill %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := carryOut(t, setup, drills[name])
			if got, want := failedIn(out), fails()[name]; !slices.Equal(got, want) {
				t.Errorf("commands that fail: got %q, want %q in\n%s", got, want, out)
			}
			rest := out
			for _, expr := range want {
				at := regexp.MustCompile(expr).FindStringIndex(rest)
				if at == nil {
					t.Fatalf("%q is not seen in the rest of\n%s", expr, out)
				}
				rest = rest[at[1]:]
			}
		})
	}
	for name := range drills {
		if seen()[name] == nil {
			t.Errorf("nobody knows what is seen in the drill %q", name)
		}
	}
}

// fails are the commands of the drills that are to fail, in their order.
func fails() map[string][]string {
	return map[string][]string{
		"A segment of the log is damaged": {"sluice log verify --data drill"},
		"The key file is lost":            {"sluice serve"},
		damagedControl:                    {"sluice serve"},
	}
}

// failedIn returns the commands that have failed.
func failedIn(out string) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^FAILED: (.*)$`).FindAllStringSubmatch(out, -1) {
		list = append(list, m[1])
	}
	return list
}

// readDrills returns the commands in front of the first heading of a page, and
// those below each heading: lines that are indented.
func readDrills(t *testing.T, path string) (setup string, drills map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	drills = map[string]string{}
	name := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			name = heading
		}
		command, ok := strings.CutPrefix(line, "    ")
		switch {
		case !ok:
		case name == "":
			setup += command + "\n"
		default:
			drills[name] += command + "\n"
		}
	}
	return setup, drills
}

// carryOut runs commands in a shell in a folder of their own, with this program and
// an address that nobody else uses, and returns all that is shown, and which of them
// have failed.
func carryOut(t *testing.T, setup, commands string) string {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	program := fmt.Sprintf("#!/bin/sh\n%s=1 exec %s \"$@\"\n", asProgram, executable)
	if err := os.WriteFile(filepath.Join(bin, "sluice"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(setup+commands, "127.0.0.1:8097", freeAddress(t))
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -E\ntrap 'trap - ERR; kill -9 $(jobs -p) 2>/dev/null' EXIT\ntrap 'echo \"FAILED: $BASH_COMMAND\"' ERR\n"+script+"echo END\n")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// freeAddress returns an address on loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
