package drill_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	_ "modernc.org/sqlite" // to read which schemas the fixtures have
)

// written are the numbers of formats that data are written in, as the source has
// them. None of them may change without a data folder in testdata that has it: when
// it changes again nobody can make one any more.
func written(t *testing.T) map[string]int {
	t.Helper()
	numbers := map[string]int{}
	for what, in := range map[string]struct{ file, expr string }{
		"control.db": {"sqlite/schema.go", `(?m)^const schema = (\d+)$`},
		"index":      {"sqlite/index_file.go", `(?m)^const indexSchema = (\d+)$`},
		"chunks":     {"index/engine.go", `(?m)^const Format = (\d+)$`},
		"blocks":     {"eventlog/header.go", `(?m)^\tversion +(?:byte )?= (\d+)$`},
		"footers":    {"segment/footer.go", `(?m)^\tfooterVersion += (\d+)$`},
		"keys":       {"secret/keyfile.go", `(?m)^\tkeyFileHead += "sluice-keys (\d+)"$`},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(in.file)))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(in.expr).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s: nothing is %s", in.file, in.expr)
		}
		if numbers[what], err = strconv.Atoi(string(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	return numbers
}

// found adds the numbers of the formats that a data folder has.
func found(t *testing.T, data string, numbers map[string][]int) {
	t.Helper()
	add := func(what string, n int) { numbers[what] = append(numbers[what], n) }
	ask := func(path, query string, into ...any) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(t.Context(), query).Scan(into...); err != nil {
			t.Fatalf("%s: %s: %v", path, query, err)
		}
	}
	var schema, format int
	ask(filepath.Join(data, "control.db"), "SELECT value FROM meta WHERE name = 'schema'", &schema)
	add("control.db", schema)
	for _, path := range glob(t, data, "index/*.db") {
		ask(path, "SELECT schema, format FROM state", &schema, &format)
		add("index", schema)
		add("chunks", format)
	}
	for _, path := range glob(t, data, "log/*/*.seg") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add("blocks", int(text[8])) // docs/formats/block.md
		if _, trailer, ok := bytes.Cut(text, []byte("\xF5FIN\xFF\r\n\x1a")); ok {
			add("footers", int(trailer[0])+int(trailer[1])<<8)
		}
	}
	text, err := os.ReadFile(filepath.Join(data, "sluice.key"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^sluice-keys (\d+)$`).FindSubmatch(text); m != nil {
		n, _ := strconv.Atoi(string(m[1])) // it has digits only
		add("keys", n)
	}
}

func glob(t *testing.T, data, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(data, filepath.FromSlash(pattern)))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// without returns the formats that no fixture has.
func without(now map[string]int, fixtures map[string][]int) (list []string) {
	for what, n := range now {
		if !slices.Contains(fixtures[what], n) {
			list = append(list, fmt.Sprintf("%s of format %d", what, n))
		}
	}
	return list
}

// TestFormatsHaveFixtures: what today's server writes is in a data folder that later
// servers are tried with.
func TestFormatsHaveFixtures(t *testing.T) {
	t.Parallel()
	fixtures := map[string][]int{}
	for _, path := range glob(t, "testdata", "*.tar.gz") {
		data := t.TempDir()
		unpack(t, path, data)
		found(t, data, fixtures)
	}
	t.Logf("fixtures have %v", fixtures)
	now := written(t)
	for _, what := range without(now, fixtures) {
		t.Errorf("no data folder in testdata has %s: make one (TestMakeFixture)", what)
	}
	for what := range now {
		now[what]++
	}
	if got := without(now, fixtures); len(got) != len(now) {
		t.Errorf("formats of tomorrow: %q have no fixture, want all of %v", got, now)
	}
}
