package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// load parses a command line of serve.
func load(t *testing.T, environ []string, file string, args ...string) (Config, *configSource, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "sluice.json")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	fs := newFlagSet(&command{name: "serve"})
	src := configFlags(fs)
	if _, err := parse(fs, args); err != nil {
		t.Fatal(err)
	}
	cfg, err := src.load(&Env{Environ: environ})
	return cfg, src, err
}

func TestConfigDefaults(t *testing.T) {
	cfg, _, err := load(t, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"Listen":         {cfg.Listen, "127.0.0.1:8080"},
		"FreeFloor":      {cfg.FreeFloor, int64(256 * mib)},
		"RetentionAudit": {cfg.RetentionAudit, 180 * day},
		"RetentionGit":   {cfg.RetentionGit, 7 * day},
		"MaxEvent":       {cfg.MaxEvent, int64(mib)},
		"LogLevel":       {cfg.LogLevel, slog.LevelInfo},
		"KeyPath":        {cfg.KeyPath(), "sluice-data/sluice.key"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestConfigPrecedence(t *testing.T) {
	file := `{"retention_git": "3d", "max_event": 2048, "allow_destination": ["10.0.0.0/8", "192.168.1.1"], "existing": true, "log_level": "warn"}`
	environ := []string{"SLUICE_MAX_EVENT=4KiB", "SLUICE_LOG_LEVEL=error", "SLUICE_ADMIN_TOKEN=0123456789abcdef", "SLUICE_PORT=tcp://10.0.0.1:80", "SLUICE_SERVICE_HOST=10.0.0.1"}
	cfg, src, err := load(t, environ, file, "--log-level", "debug", "--shutdown-timeout=1m")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(cfg.RetentionGit, cfg.MaxEvent, cfg.AllowDestinations, cfg.Existing, cfg.LogLevel, cfg.ShutdownTimeout)
	want := "72h0m0s 4096 [10.0.0.0/8 192.168.1.1/32] true DEBUG 1m0s"
	if got != want {
		t.Errorf("config: got %s, want %s", got, want)
	}
	var out bytes.Buffer
	if err := src.print(&out, false); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"retention_git = 3d # file ", "max_event = 4KiB # environment SLUICE_MAX_EVENT", "log_level = debug # flag --log-level",
		"admin_token = *** # environment SLUICE_ADMIN_TOKEN", "retention_audit = 180d # default", "free_floor = 256MiB # default"} {
		if !strings.Contains(text, want) {
			t.Errorf("print-config: got %s, want it to contain %q", text, want)
		}
	}
	out.Reset()
	if err := src.print(&out, true); err != nil || strings.Contains(out.String(), "0123456789abcdef") {
		t.Errorf("print-config --json: got %s, %v, want no secret", out.String(), err)
	}
	if text := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(text, "0123456789abcdef") {
		t.Errorf("printed config: got %s, want no secret", text)
	}
}

func TestConfigLetsTheSystemChooseBothPorts(t *testing.T) {
	if _, _, err := load(t, nil, "", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"); err != nil {
		t.Errorf("got %v, want two ports that the system chooses", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		file    string
		args    []string
		want    string
	}{
		{"unknown key", nil, `{"retention": "3d"}`, nil, `"retention" is not known`},
		{"unknown variable", []string{"SLUICE_LISTN=x"}, "", nil, "environment SLUICE_LISTN is not known"},
		{"key twice", nil, `{"listen": ":1", "listen": ":2"}`, nil, `"listen" stands there twice`},
		{"not an object", nil, `["listen"]`, nil, "must be a JSON object"},
		{"bytes behind", nil, `{} {}`, nil, "something follows"},
		{"cut", nil, `{"listen": ":1"`, nil, "EOF"},
		{"wrong type", nil, `{"listen": {}}`, nil, "must be a string"},
		{"decimal unit", []string{"SLUICE_MAX_EVENT=1MB"}, "", nil, "environment SLUICE_MAX_EVENT: must be a size"},
		{"size too large", nil, "", []string{"--max-event", "9999999999GiB"}, "must be a size"},
		{"negative span", nil, "", []string{"--retention-git=-1h"}, "must be a time span"},
		{"level", nil, "", []string{"--log-level", "loud"}, "flag --log-level: must be one of"},
		{"network", nil, "", []string{"--allow-destination", "10.0.0.0/99"}, "must be networks"},
		{"never allowed", nil, "", []string{"--allow-destination", "169.254.0.0/16"}, "can never be allowed"},
		{"address with a path", nil, "", []string{"--external-url", "https://example.com/sluice"}, "must not have a path"},
		{"proxy by name", nil, "", []string{"--trusted-proxy", "proxy.lan"}, "must be networks"},
		{"half of TLS", nil, "", []string{"--tls-cert", "x"}, "need each other"},
		{"same address", nil, "", []string{"--metrics-listen", "127.0.0.1:8080"}, "must differ"},
		{"no port", nil, "", []string{"--listen", "localhost"}, "must be HOST:PORT"},
		{"request below event", nil, "", []string{"--max-request", "512KiB"}, "max-request: must be at least max-event"},
		{"floor below the least", nil, "", []string{"--free-floor", "64MiB"}, "free-floor: must be at least 256MiB"},
		{"floor of large segments", nil, "", []string{"--segment-size", "1GiB", "--free-floor", "1GiB"}, "at least 4GiB"},
		{"unknown compression", nil, `{"compression":"gzip"}`, nil, "compression: must be one of s2, zstd"},
		{"short retention", nil, "", []string{"--retention-audit", "1m"}, "retention-audit"},
		{"short token", []string{"SLUICE_ADMIN_TOKEN=short"}, "", nil, "admin-token: must have 16"},
		{"several at once", nil, "", []string{"--retention-audit", "1m", "--listen", "x"}, "listen"},
	} {
		_, _, err := load(t, c.environ, c.file, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestSizesAndSpans(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "5": 5, "5B": 5, "1KiB": 1 << 10, "64 MiB": 64 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("parseSize(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]time.Duration{"180d": 180 * day, "7d12h": 7*day + 12*time.Hour, "90s": 90 * time.Second, "0s": 0} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("parseDuration(%q): got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "d", "1.5d", "5", "-1d", "1d-1h", "999999999d"} {
		if got, err := parseDuration(bad); err == nil {
			t.Errorf("parseDuration(%q): got %v, want an error", bad, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 30 * time.Second: "30s", time.Hour: "1h", 90 * time.Minute: "1h30m", 180 * day: "180d", 7*day + 12*time.Hour: "7d12h", 200 * time.Millisecond: "200ms", 10 * time.Minute: "10m"} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d): got %s, want %s", d, got, want)
		}
	}
}

func TestConfigWarnings(t *testing.T) {
	for listen, want := range map[string]int{"127.0.0.1:1": 0, "localhost:1": 0, "[::1]:1": 0, ":1": 1, "0.0.0.0:1": 1} {
		cfg := defaultConfig()
		cfg.Listen = listen
		if got := len(cfg.Warnings()); got != want {
			t.Errorf("%s: got %d warnings, want %d", listen, got, want)
		}
		if err := (originValue{&cfg.ExternalURL}).Set("https://sluice.example.com"); err != nil || len(cfg.Warnings()) != 0 {
			t.Errorf("%s with TLS in front: got warnings %q and error %v, want none", listen, cfg.Warnings(), err)
		}
	}
}

// TestConfigIsDocumented holds that every field has a comment with its default,
// and a setting.
func TestConfigIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]bool)
	cfg := defaultConfig()
	for _, s := range cfg.settings() {
		settings[strings.ReplaceAll(s.key(), "_", "")] = true
	}
	fields := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Config" {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			for _, name := range f.Names {
				fields++
				if doc := f.Doc.Text(); !strings.Contains(doc, "efault") {
					t.Errorf("%s: got comment %q, want one that names the default", name.Name, doc)
				}
				if key := strings.ToLower(name.Name); !settings[key] && !settings[strings.TrimSuffix(key, "s")] {
					t.Errorf("%s: there is no setting", name.Name)
				}
			}
		}
		return false
	})
	if fields != len(settings) {
		t.Errorf("got %d settings for %d fields", len(settings), fields)
	}
}
