package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestApplyDocumented follows docs/apply.md: its example is the file in contrib,
// and what it shows is what comes out.
func TestApplyDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "apply.md"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join("..", "..", "contrib", "apply", "acme.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```yaml\n"+string(example)+"```\n") {
		t.Error("docs/apply.md: got another example than contrib/apply/acme.yaml")
	}
	a := newApplied(t)
	t.Chdir(a.dir)
	if err := os.Mkdir("secrets", 0o700); err != nil {
		t.Fatal(err)
	}
	a.write("acme.yaml", string(example))
	a.write("secrets/gitlab.token", "a-token-that-gitlab-chose\n")
	a.write("secrets/siem.signing", appliedSigning+"\n")
	a.environ = append(a.environ, "CHAT_HOOK=https://127.0.0.1/hooks/4711", "SIEM_AUTHORIZATION="+appliedHeader, "ARCHIVE_SECRET="+appliedKey,
		"JANE_PASSWORD=correct-horse-battery", "JOE_PASSWORD=staple-battery-horse")
	plan := sluiceRun(t.Context(), a.environ, "", "apply", "-f", "acme.yaml", "--plan")
	shows(t, string(page), plan, exitChanges, "")
	shows(t, string(page), sluiceRun(t.Context(), a.environ, "", "apply", "-f", "acme.yaml", "--secret-dir", "./secrets"), exitOK, plan.stdout)
	shows(t, string(page), sluiceRun(t.Context(), a.environ, "", "apply", "-f", "acme.yaml", "--plan"), exitOK, "")
}

// shows looks for an output in a page, where it is indented, without what it
// begins with.
func shows(t *testing.T, page string, got result, code int, before string) {
	t.Helper()
	out, ok := strings.CutPrefix(got.stdout, before)
	if got.code != code || !ok {
		t.Fatalf("got %+v, want code %d, and to begin with %q", got, code, before)
	}
	want := "    " + strings.ReplaceAll(strings.TrimSuffix(out, "\n"), "\n", "\n    ") + "\n"
	if !strings.Contains(page, want) {
		t.Errorf("docs/apply.md does not show\n%s", want)
	}
}
