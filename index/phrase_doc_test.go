package index

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSearchPage holds docs/search.md against the table of qualifiers.
func TestSearchPage(t *testing.T) {
	page, err := os.ReadFile("../docs/search.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qualifiers() {
		for _, name := range q.names {
			if name != "" && !strings.Contains(string(page), "`"+name+":`") {
				t.Errorf("the page does not name %s:", name)
			}
		}
	}
	phrase := regexp.MustCompile("`-?([a-z_]+):[^` …]+`|\n    .+").FindAllString(string(page), -1)
	if len(phrase) < 20 {
		t.Errorf("got %d examples, want the page's", len(phrase))
	}
	for _, p := range phrase {
		p = strings.Trim(strings.TrimSpace(p), "`")
		_, err := ParsePhrase(p)
		wrong := map[string]bool{"qualifier:value": true, "repo:billing": true, "country:Atlantis": true, "ip:10.0.0.0/8": true}
		if (err != nil) != wrong[p] {
			t.Errorf("%s: got error %v, want as the page says", p, err)
		}
	}
}
