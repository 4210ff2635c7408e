package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// The demo and its hooks execute this test binary as sluice.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "git" && os.Args[2] == "hook" || len(os.Args) > 1 && os.Args[1] == "serve" || os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		env := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()}
		code := run(ctx, env, os.Args[1:])
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestDemo(t *testing.T) {
	a := newAPI(t)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	for _, args := range [][]string{{"demo", "--server", a.URL}, {"demo", "--server", a.URL, "--json"}} {
		var stdout, stderr strings.Builder
		env := &Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Executable: executable,
			Environ: []string{"PATH=" + os.Getenv("PATH"), "SLUICE_TOKEN=secret", "GORACE=atexit_sleep_ms=0"}}
		a.set(func() { a.streams = nil })
		if code := run(t.Context(), env, args); code != exitOK {
			t.Fatalf("%q: got code %d: %s%s", args, code, stdout.String(), stderr.String())
		}
		if len(args) == 3 {
			if text := stdout.String(); strings.Count(text, "delivered to the receiver") != 6 || !strings.Contains(text, "history rewritten") || !strings.Contains(text, "pending 0") {
				t.Errorf("got %s, want six deliveries and the ledger", text)
			}
			continue
		}
		var res demoResult
		if err := json.Unmarshal([]byte(stdout.String()), &res); err != nil || !res.OK || len(res.Pushes) != 6 || res.Ledger.Delivered != 6 {
			t.Errorf("got %s, %v, want six pushes delivered", stdout.String(), err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("temporary folder: got %v, %v, want it empty", left, err)
	}
}
