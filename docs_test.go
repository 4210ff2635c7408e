package sluice_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pages returns the texts of all pages in Markdown, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && slices.Contains([]string{"node_modules", "bin", "out", ".git"}, d.Name()) {
				return fs.SkipDir
			}
			return err
		}
		if path.Ext(name) == ".md" {
			text, err := os.ReadFile(name)
			all[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil || len(all) < 30 {
		t.Fatalf("got %d pages (%v), want those of docs", len(all), err)
	}
	return all
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
	heading = regexp.MustCompile(`(?m)^#{1,6} (.*)$`)
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// notInAnchors is what headings lose on the way to their anchor.
	notInAnchors = regexp.MustCompile(`[^\pL\pN_\- ]`)
)

// anchors returns what a page can be linked at, as GitHub and GitLab name it.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		unique := name
		for n := 1; all[unique]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		all[unique] = true
	}
	return all
}

// brokenLinks returns the links of a page that lead to no file of ours, or to no
// heading of it.
func brokenLinks(name string, all map[string]string) (broken []string) {
	for _, m := range linked.FindAllStringSubmatch(fenced.ReplaceAllString(all[name], ""), -1) {
		to, anchor, _ := strings.Cut(m[1], "#")
		if strings.Contains(to, ":") {
			continue // another site's
		}
		target := name
		if to != "" {
			target = path.Join(path.Dir(name), to)
		}
		_, err := os.Stat(target)
		text, page := all[target]
		if err != nil || anchor != "" && page && !anchors(text)[anchor] {
			broken = append(broken, m[1])
		}
	}
	return broken
}

// TestLinks follows every link from one of our pages to another.
func TestLinks(t *testing.T) {
	all := pages(t)
	for name := range all {
		if broken := brokenLinks(name, all); len(broken) > 0 {
			t.Errorf("%s has links to nowhere: %q", name, broken)
		}
	}
	all["docs/pages.md"] = "# One\n[a](operations.md#stop) [b](operations.md#stopp) [c](nothing.md) [d](#one) [e](#two) [f](https://example.com/nothing.md)"
	if got, want := brokenLinks("docs/pages.md", all), []string{"operations.md#stopp", "nothing.md", "#two"}; !slices.Equal(got, want) {
		t.Errorf("links to nowhere: got %q, want %q", got, want)
	}
}

// told finds the types of events and notices that Sluice itself writes.
var told = regexp.MustCompile(`"((?:stream|quarantine|token|user|member|namespace|secrets|notice|audit_log|installation)\.[a-z_]+)"`)

// unnamed returns the types of events and notices in a program text that the
// manual of the API does not name.
func unnamed(program, manual string) (types []string) {
	for _, m := range told.FindAllStringSubmatch(program, -1) {
		if !strings.Contains(manual, "`"+m[1]+"`") && !slices.Contains(types, m[1]) {
			types = append(types, m[1])
		}
	}
	return types
}

// TestToldEventsAreDocumented: whoever watches the log, or makes alerts of it, finds
// in the manual what Sluice writes into it.
func TestToldEventsAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("docs/api/native.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, folder := range []string{"control", "deliver"} {
		files, err := fs.Glob(os.DirFS("."), folder+"/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			program, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found += len(told.FindAllString(string(program), -1))
			if types := unnamed(string(program), string(manual)); len(types) > 0 {
				t.Errorf("docs/api/native.md does not name %q, which %s writes", types, file)
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d types of events, want those of all changes", found)
	}
	if got := unnamed(`Type: "stream.vanish"`, string(manual)); len(got) != 1 {
		t.Errorf("a type that nobody described: got %q", got)
	}
}
