package sluice_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluicelog/sluice"

// layers says which packages of the module each package may import; a package
// also may import what lies below its own path ("eventlog/..." for its suite).
// Nouns import nothing. Ports import nouns. Drivers import their port. Work
// imports ports, never drivers. Surfaces import control. cmd imports everything.
// A package that is missing here fails the test: decide where it belongs. Every
// package may import failpoint, which is empty in a release.
func layers() map[string][]string {
	nouns := []string{""}
	ports := []string{"", "eventlog", "store", "destination", "secret"}
	return map[string][]string{
		"":                              {},
		"failpoint":                     {},
		"eventlog":                      nouns,
		"eventlog/eventlogtest":         {"", "eventlog"},
		"store":                         nouns,
		"store/storetest":               {"", "store"},
		"secret":                        nouns,
		"index":                         nouns,
		"index/indextest":               {"", "index"},
		"quota":                         nouns,
		"backup":                        {},
		"segment":                       {"", "eventlog"},
		"segment/segmenttest":           {"", "eventlog", "eventlog/eventlogtest", "segment"},
		"sqlite":                        {"", "index", "store"},
		"destination":                   nouns,
		"destination/destinationtest":   {"", "destination"},
		"destination/webhook":           {"", "destination"},
		"destination/s3":                {"", "destination"},
		"destination/s3/s3test":         {},
		"destination/splunk":            {"", "destination"},
		"destination/splunk/splunktest": {},
		"destination/cloudlogging":      {"", "destination"},
		"destination/eventhubs":         {"", "destination", "secret"},
		"deliver":                       ports,
		"notice":                        {"", "destination", "secret"},
		"control":                       append([]string{"deliver", "index", "notice", "search"}, ports...),
		"search":                        {"", "eventlog", "index", "quota"},
		"ingest":                        {"", "control", "eventlog"},
		"rest":                          {"", "control", "deliver", "destination", "ingest", "quota", "secret"},
		"rest/resttest":                 {},
		"github":                        {"", "control", "quota", "secret"},
		"gitlab":                        {"", "control", "quota"},
		"graphql":                       {"", "control", "quota", "secret"},
		"web":                           {"", "control", "destination", "quota", "secret", "web/label"},
		"web/label":                     {},
		"web/webtest":                   {},
		"control/controltest":           {"", "control", "deliver", "destination", "eventlog", "notice", "secret", "store"},
		"client":                        nouns,
		"githook":                       {"", "client"},
		"manifest":                      {"", "client"},

		"destination/cloudlogging/cloudloggingtest": {},
		"destination/eventhubs/eventhubstest":       {},
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestLayout(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	rules := layers()
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		checkImports(t, rules, relative(p.ImportPath), p.Imports)
	}
}

func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func checkImports(t *testing.T, rules map[string][]string, name string, imports []string) {
	t.Helper()
	if name == "cmd/sluice" || name == "bench" || strings.HasPrefix(name, "bench/") {
		return // may import everything; that nobody imports them is checked below
	}
	allowed, known := rules[name]
	if !known {
		t.Errorf("package %q has no place in the layout: see layers", name)
		return
	}
	for _, path := range imports {
		switch {
		case !strings.HasPrefix(path, module):
			if name == "" && strings.Contains(strings.Split(path, "/")[0], ".") {
				t.Errorf("the root package imports %s: it takes the standard library only", path)
			}
		case relative(path) == "failpoint":
		case !slices.Contains(allowed, relative(path)):
			t.Errorf("package %q imports %q, which the layout forbids", name, relative(path))
		}
	}
}
