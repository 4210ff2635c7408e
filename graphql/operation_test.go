package graphql_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
)

var update = flag.Bool("update", false, "write the answers that operations get into testdata")

const answerMark = "-- answer --\n"

// made matches what is made at random: names, tokens and places.
var made = regexp.MustCompile(`Destination_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|"[A-Z2-7]{24}"`)

// plain returns an answer in the form that files have.
func plain(t *testing.T, answer string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(answer), "", "  "); err != nil {
		t.Fatalf("the answer %.100s is no JSON: %v", answer, err)
	}
	return made.ReplaceAllStringFunc(b.String(), func(s string) string {
		if strings.HasPrefix(s, "D") {
			return "Destination_UUID"
		}
		return `"TOKEN"`
	}) + "\n"
}

// TestOperations runs the files of each folder in the order of their names, in a
// world of its own. G and I with a number are GitLab's documented operations.
func TestOperations(t *testing.T) {
	account, err := cloudloggingtest.NewAccount("my-google-project")
	if err != nil {
		t.Fatal(err)
	}
	key, err := json.Marshal(account.PEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"group", "instance", "consolidated"} {
		t.Run(folder, func(t *testing.T) {
			files, err := filepath.Glob("testdata/" + folder + "/*.txt")
			if err != nil || len(files) < 20 {
				t.Fatalf("got %d files and error %v, want at least 20", len(files), err)
			}
			simulate(t, func(t *testing.T, c *client) {
				if folder == "consolidated" {
					c.prepare()
				}
				for _, file := range files {
					c.operation(file, strings.Trim(string(key), `"`))
				}
				if logs := c.Logs(); strings.Contains(logs, "PRIVATE KEY") || strings.Contains(logs, "secret-access-key") {
					t.Error("the log holds a secret")
				}
			})
		})
	}
}

// prepare has a type seen, and makes a stream of a kind that GitLab has not.
func (c *client) prepare() {
	c.t.Helper()
	c.Post("my-group/sub", "seen.before", 1)
	synctest.Wait()
	_, err := c.Service.CreateStream(c.t.Context(), c.Admin, control.StreamSpec{
		Namespace: "other", Name: "collector", Kind: "splunk", Config: json.RawMessage(`{"domain":"hec.example"}`),
		Secrets: secretTexts("token", "0b2a8a39-50f6-4a3e-8a16-6e4b7a5f9f11"), Filter: sluice.Filter{},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) operation(file, key string) {
	c.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	query, want, ok := strings.Cut(string(content), answerMark)
	if !ok {
		c.t.Fatalf("%s has no %s", file, answerMark)
	}
	got := plain(c.t, c.run(strings.ReplaceAll(query, "@PRIVATE_KEY@", key), nil))
	if *update {
		if err := os.WriteFile(file, []byte(query+answerMark+got), 0o644); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	if got != want {
		c.t.Errorf("%s:\n got %s\nwant %s", file, got, want)
	}
}
