package web_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pagesEnv names the variable with the directory that pages are kept in until all
// tests have run.
const pagesEnv = "SLUICE_TEST_PAGES"

// keepPage keeps a page for the validator, once.
func keepPage(t *testing.T, what, text string) {
	t.Helper()
	name := strings.NewReplacer("/", "_", " ", "_").Replace(fmt.Sprintf("%.100s %.4x.html", what, sha256.Sum256([]byte(text))))
	if err := os.WriteFile(filepath.Join(os.Getenv(pagesEnv), name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMain has all pages that tests were shown judged together, by html-validate:
// starting it takes longer than judging a page does.
func TestMain(m *testing.M) {
	os.Exit(withValidator(m.Run))
}

func withValidator(run func() int) int {
	dir, err := os.MkdirTemp("", "sluice-pages-")
	if err == nil {
		err = os.Setenv(pagesEnv, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := run()
	if err := validate(dir); err != nil {
		fmt.Fprintf(os.Stderr, "%v\nthe pages are left in %s\n", err, dir)
		return 1
	}
	_ = os.RemoveAll(dir) // of tests
	return code
}

// validate judges the pages in a directory.
func validate(dir string) error {
	if pages, err := os.ReadDir(dir); err != nil || len(pages) == 0 {
		return err // tests of other things alone have run
	}
	const program, config = "../testservers/htmlvalidate/node_modules/html-validate/bin/html-validate.mjs", "../testservers/htmlvalidate/rules.cjs"
	if _, err := os.Stat(program); err != nil {
		return errors.New("the npm package html-validate is missing: run scripts/prepare, which installs it")
	}
	out, err := exec.Command("node", program, "--config", config, "--formatter", "text", "--max-warnings", "0", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("judge the pages: %w\n%.20000s", err, out)
	}
	return nil
}

// The validator finds what it is for, with the rules that it was given.
func TestValidate(t *testing.T) {
	good := t.TempDir()
	if err := os.WriteFile(filepath.Join(good, "good.html"), []byte(pageOf("")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := validate(good); err != nil {
		t.Errorf("a good page: got %v, want nothing", err)
	}
	bad, dir := map[string]string{
		"close-order": `<div>`, "no-implicit-close": `<p><div></div></p>`, "no-dup-id": `<b id="a">x</b><i id="a">y</i>`, "input-missing-label": `<input name="n">`,
		"no-missing-references": `<label for="x">x</label>`, "no-implicit-button-type": `<button>x</button>`, "wcag/h37": `<img src="/-/x">`,
		"wcag/h30": `<a href="/-/"></a>`, "heading-level": `<h3>y</h3>`, "element-permitted-content": `<ul><div>x</div></ul>`,
	}, t.TempDir()
	for rule, body := range bad {
		name := strings.ReplaceAll(rule, "/", "-") + ".html"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(pageOf(body)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := fmt.Sprint(validate(dir))
	for rule := range bad {
		if !strings.Contains(got, "["+rule+"]") {
			t.Errorf("got no %s in %s", rule, got)
		}
	}
}
