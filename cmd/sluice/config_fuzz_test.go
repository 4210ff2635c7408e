package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzConfigFile starts with configuration files that are anything at all: they are
// refused in words of one line a problem, or give a configuration that is shown and
// holds.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{
		`{"data":"d","listen":"127.0.0.1:0","retention_git":"30d","allow_destination":["10.0.0.0/8"]}`, `{"data":"d","free_floor":"1GiB","external_url":"https://a"}`,
		`{"data":"d","data":"e"}`, `{"listen":7}`, `{"nothing":1}`, `{"rate_limit":-1}`, `{"data":"d"} x`, `{"trusted_proxy":["x"]}`, `[]`, ``, `{"smtp_server":"a:1","smtp_from":"a@b"}`,
	} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "config.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		fs := flag.NewFlagSet("serve", flag.ContinueOnError)
		src := configFlags(fs)
		src.file = path
		cfg, err := src.load(&Env{})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "configuration: ") {
				t.Errorf("%q: got %v", text, err)
			}
			return
		}
		if err := cfg.check(); err != nil {
			t.Errorf("%q: the configuration does not hold: %v", text, err)
		}
		var shown strings.Builder
		if err := src.print(&shown, false); err != nil {
			t.Errorf("%q: show: %v", text, err)
		}
	})
}

// FuzzValues reads sizes, time spans and networks: within bounds, and as they were
// written.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"64MiB", "0", "8388607TiB", "8388608TiB", " 1 KiB", "-1", "180d", "7d12h", "106751d", "106752d", "1h30m0.5s", "d", "10.0.0.1/8", "::1", "fe80::1%a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil {
			if again, err := parseSize(formatSize(n)); n < 0 || err != nil || again != n {
				t.Errorf("size %q: got %d, again %d (%v)", text, n, again, err)
			}
		}
		if d, err := parseDuration(text); err == nil {
			if again, err := parseDuration(formatDuration(d)); d < 0 || err != nil || again != d {
				t.Errorf("span %q: got %d, written %q, again %d (%v)", text, d, formatDuration(d), again, err)
			}
		}
		if p, err := parsePrefix(text); err == nil {
			if again, err := parsePrefix(p.String()); err != nil || again != p {
				t.Errorf("network %q: got %s, again %s (%v)", text, p, again, err)
			}
		}
	})
}

// FuzzSnapshotName: a snapshot is known by the one name that the server writes.
func FuzzSnapshotName(f *testing.F) {
	for _, name := range []string{"control-20260301T120000Z.db", "control-20260301T120000.5Z.db", "control-00010101T000000Z.db", "control.db", "control-20260301T120000Z.db.partial", "control-20260230T120000Z.db"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if made, ok := snapshotTime(name); ok && (made.Format(snapshotName) != name || made.Location() != time.UTC) {
			t.Errorf("%q: got %s", name, made)
		}
	})
}
