package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/manifest"
)

// TestResolveStaysWhereItMay: a manifest reads regular files of its own folder and
// of those that were allowed, whatever it calls them, and never waits for one.
func TestResolveStaysWhereItMay(t *testing.T) {
	base := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write("repo/below/good", "a text\n")
	outside := write("outside/bob.pw", "bobs-password")
	own := write("repo/own", "the-token-of-the-command")
	must(os.Link(own, filepath.Join(base, "repo/hard")))
	write("repo/copy", "Bearer the-token-of-the-command")
	must(os.Symlink("../outside/bob.pw", filepath.Join(base, "repo/link")))
	must(os.Symlink(filepath.Join(base, "repo/below"), filepath.Join(base, "repo/inside")))
	must(syscall.Mkfifo(filepath.Join(base, "repo/fifo"), 0o600))

	read := func(reference string, roots ...string) error {
		t.Helper()
		text := head + "streams:\n  - {name: a, kind: splunk, secrets: {token: " + reference + "}}\n"
		m, err := manifest.Read(manifest.Source{Name: filepath.Join(base, "repo", "a.yaml"), Text: []byte(text)})
		must(err)
		return m.Resolve(manifest.References{
			Getenv: func(string) string { return "the-token-of-the-command" }, Roots: roots, OwnFiles: []string{own, "", "/nowhere"},
			Own: func(text string) bool { return strings.Contains(text, "the-token-of-the-command") },
		})
	}
	for reference, want := range map[string]string{
		"{file: below/good}":               "",
		"{file: inside/good}":              "",
		"{file: below/../below/good}":      "",
		"{file: ../outside/bob.pw}":        "lies outside the folder of this file: if it may be read, allow its folder with --secret-root",
		"{file: " + outside + "}":          "lies outside the folder",
		"{file: link}":                     "lies outside the folder",
		"{file: /proc/self/environ}":       "lies outside the folder",
		"{file: /dev/zero}":                "lies outside the folder",
		"{file: fifo}":                     "fifo is not a regular file",
		"{file: below}":                    "below is not a regular file",
		"{file: own}":                      "it is a credential of this command itself",
		"{file: hard}":                     "it is a credential of this command itself",
		"{file: copy}":                     "it is a credential of this command itself",
		"{env: THE_SAME_BY_ANOTHER_NAME}":  "it is a credential of this command itself",
		"{file: below/good/of/all/things}": "not a directory",
	} {
		err := read(reference)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", reference, err, want)
		}
	}
	for reference, want := range map[string]string{
		"{file: ../outside/bob.pw}": "", "{file: link}": "", "{file: own}": "it is a credential",
		"{file: /proc/self/environ}": "/proc/self/environ is empty", "{file: /dev/zero}": "/dev/zero is not a regular file", "{file: fifo}": "fifo is not a regular file",
	} {
		err := read(reference, "/proc", "/dev", filepath.Dir(outside))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s with more roots: got %v, want %q", reference, err, want)
		}
	}
}

// TestResolveFindsWhatNoServerTakes before anything is changed.
func TestResolveFindsWhatNoServerTakes(t *testing.T) {
	for text, want := range map[string]string{
		"a-token-of-16-by":         "",
		"":                         "the environment variable T is not set",
		"short":                    "a.yaml:4:22: the text of T cannot be a token: it must have 16 to 255 visible ASCII characters",
		strings.Repeat("x", 256):   "cannot be a token",
		"sixteen and more, spaced": "cannot be a token",
		"sixteen-and-more-with-ü":  "cannot be a token",
	} {
		m, err := manifest.Read(manifest.Source{Name: "a.yaml", Text: []byte(head + "tokens:\n  - {name: a, token: {env: T}}\n")})
		if err != nil {
			t.Fatal(err)
		}
		err = m.Resolve(manifest.References{Getenv: func(string) string { return text }})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	m, err := manifest.Read(manifest.Source{Name: "a.yaml", Text: []byte("version: 1\nnamespace: ''\nusers:\n  - {name: jane, password: {env: P}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Resolve(manifest.References{Getenv: func(string) string { return strings.Repeat("ü", 256) }}); err != nil {
		t.Errorf("256 letters: %v", err)
	}
	err = m.Resolve(manifest.References{Getenv: func(string) string { return "süßigkeiten" }})
	if want := "a.yaml:4:28: the text of P cannot be a password: it must be one line of 12 to 256 characters"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain, \\ and \"quoted\"": "plain, \\ and \"quoted\"",
		"Zürich 東京":                "Zürich 東京",
		"a\x1b[2J\nb\x00\u009b":    `a\u001b[2J\u000ab\u0000\u009b`,
		"right\u202eleft\u2028":    `right\u202eleft\u2028`,
		"no UTF-8: \xff":           `no UTF-8: \xff`,
		"one ill rune: \ufffd":     "one ill rune: \ufffd",
	} {
		if got := manifest.Escaped(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
