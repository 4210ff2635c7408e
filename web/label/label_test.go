package label_test

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/web/label"
)

// docs/pages.md tells people of either product how things are called here.
func TestNamesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	cell := func(names string) string { return cmp.Or(strings.ReplaceAll(names, "; ", ", "), "-") }
	want := "| GitHub | GitLab | Sluice |\n| --- | --- | --- |\n"
	for _, n := range label.Names() {
		want += "| " + cell(n.GitHub) + " | " + cell(n.GitLab) + " | " + n.Ours + " |\n"
	}
	if !strings.Contains(string(text), want+"\n") {
		t.Errorf("docs/pages.md: got no table that is\n%s", want)
	}
}
