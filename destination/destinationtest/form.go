package destinationtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// TestForm holds the form of a kind, which implements [destination.Described],
// to what its Check accepts and to the page for owners at that path: what is
// described is what there is. Least and secrets are the least that Check accepts.
func TestForm(t *testing.T, kind destination.Kind, least map[string]any, secrets destination.Secrets, page string) {
	described, ok := kind.(destination.Described)
	if !ok {
		t.Fatalf("kind %s: got no form, want one", kind.Name())
	}
	f := formTest{kind: kind, form: described.Form(), least: least, secrets: secrets}
	t.Run("Words", f.words)
	t.Run("Names", f.names)
	t.Run("Required", f.required)
	t.Run("Defaults", f.defaults)
	t.Run("Values", f.values)
	t.Run("Page", func(t *testing.T) { f.page(t, page) })
}

type formTest struct {
	kind    destination.Kind
	form    destination.Form
	least   map[string]any
	secrets destination.Secrets
}

// check checks the least configuration with one member changed; nil removes it.
func (f *formTest) check(t *testing.T, member string, value any, rules destination.Rules) (json.RawMessage, error) {
	t.Helper()
	config := maps.Clone(f.least)
	if config[member] = value; value == nil {
		delete(config, member)
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return f.kind.Check(raw, f.secrets, rules)
}

func (f *formTest) inputs(prefix string) map[string]destination.Input {
	out := map[string]destination.Input{}
	for _, in := range f.form.Inputs {
		if name, ok := strings.CutPrefix(in.Name, prefix); ok {
			out[name] = in
		}
	}
	return out
}

var administrator = destination.Rules{Administrator: true}

func (f *formTest) words(t *testing.T) {
	if f.form.Title == "" || len(f.form.Notes) == 0 {
		t.Errorf("form: got title %q and notes %q, want both", f.form.Title, f.form.Notes)
	}
	for _, note := range append(slices.Clone(f.form.Notes), f.form.About) {
		if !strings.HasSuffix(note, ".") {
			t.Errorf("note: got %q, want a sentence", note)
		}
	}
	seen := map[string]bool{}
	for _, in := range f.form.Inputs {
		config, secret := strings.HasPrefix(in.Name, "config."), strings.HasPrefix(in.Name, "secrets.")
		if seen[in.Name] || !config && !secret || secret != in.Secret {
			t.Errorf("%s: got it twice, or neither in the configuration nor a secret", in.Name)
		}
		seen[in.Name] = true
		for _, c := range append(slices.Clone(in.Columns), in) {
			if c.Label == "" || !strings.HasSuffix(c.Hint, ".") {
				t.Errorf("%s: got label %q and hint %q, want a label and sentences", c.Name, c.Label, c.Hint)
			}
			known := []destination.InputType{destination.InputText, destination.InputNumber, destination.InputCheckbox,
				destination.InputChoice, destination.InputList, destination.InputFile}
			if !slices.Contains(known, c.Type) || (c.Type == destination.InputChoice) != (len(c.Options) > 0) || (c.Type == destination.InputList) != (len(c.Columns) > 0) {
				t.Errorf("%s: got type %q with %d options and %d columns", c.Name, c.Type, len(c.Options), len(c.Columns))
			}
		}
		if name, _, ok := strings.Cut(in.When, "="); in.When != "" && !ok || name != "" && !seen[name] {
			t.Errorf("%s: got the condition %q, want one about an input before it", in.Name, in.When)
		}
	}
}

// names compares what is described with what Check says that there is.
func (f *formTest) names(t *testing.T) {
	wantFields(t, "config", f.refusal(t, "no such field", 0), slices.Sorted(maps.Keys(f.inputs("config."))))
	for name, in := range f.inputs("config.") {
		if in.Type != destination.InputList {
			continue
		}
		var columns []string
		for _, c := range in.Columns {
			columns = append(columns, c.Name)
		}
		slices.Sort(columns)
		wantFields(t, in.Name, f.refusal(t, name, []any{map[string]any{"no such field": 0}}), columns)
	}
	var secrets []string
	for _, name := range f.kind.SecretNames() {
		if !strings.HasPrefix(name, "previous_") { // those are kept when one is replaced; owners do not set them
			secrets = append(secrets, name)
		}
	}
	slices.Sort(secrets)
	if got := slices.Sorted(maps.Keys(f.inputs("secrets."))); !slices.Equal(got, secrets) {
		t.Errorf("secrets: got %q described, want %q", got, secrets)
	}
}

// refusal returns the error of a configuration that has to be refused.
func (f *formTest) refusal(t *testing.T, member string, value any) *sluice.Error {
	t.Helper()
	_, err := f.check(t, member, value, administrator)
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok || e.Code != sluice.Invalid {
		t.Fatalf("%s = %v: got %v, want invalid", member, value, err)
	}
	return e
}

func wantFields(t *testing.T, what string, e *sluice.Error, described []string) {
	t.Helper()
	list, ok := strings.CutPrefix(e.Hint, "the fields are ")
	accepted := strings.Split(list, ", ")
	slices.Sort(accepted)
	if !ok || !slices.Equal(accepted, described) {
		t.Errorf("%s: got %q described, want %q", what, described, accepted)
	}
}

func (f *formTest) required(t *testing.T) {
	for name, in := range f.inputs("config.") {
		if _, there := f.least[name]; there != in.Required {
			t.Errorf("%s: got required %t, and in the least configuration %t", in.Name, in.Required, there)
		}
		if in.Required {
			f.refusal(t, name, nil)
		}
	}
	for name, in := range f.inputs("secrets.") {
		if _, there := f.secrets[name]; there != in.Required {
			t.Errorf("%s: got required %t, and in the least secrets %t", in.Name, in.Required, there)
			continue
		}
		less := *f
		less.secrets = maps.Clone(f.secrets)
		delete(less.secrets, name)
		if _, err := less.check(t, "", nil, administrator); (err != nil) != in.Required {
			t.Errorf("without %s: got %v, want an error: %t", in.Name, err, in.Required)
		}
	}
}

// defaults compares the described defaults with what Check fills in.
func (f *formTest) defaults(t *testing.T) {
	raw, err := f.check(t, "", nil, destination.Rules{})
	if err != nil {
		t.Fatalf("the least configuration: got %v, want nil", err)
	}
	var canonical map[string]any
	if err := json.Unmarshal(raw, &canonical); err != nil {
		t.Fatal(err)
	}
	for name, in := range f.inputs("config.") {
		got, there := canonical[name]
		empty := !there || got == "" || fmt.Sprint(got) == "[]"
		switch {
		case in.Required:
		case in.Default == nil && !empty && in.Type == destination.InputText && f.secretSays(got):
		case in.Default == nil && !empty:
			t.Errorf("%s: got %v when it is left out, described without a default", in.Name, got)
		case in.Default != nil && inJSON(t, got) != inJSON(t, in.Default):
			t.Errorf("%s: got %v when it is left out, described is %v", in.Name, got, in.Default)
		}
	}
}

// secretSays reports whether a value was read from a secret, a key file for
// example.
func (f *formTest) secretSays(value any) bool {
	for _, s := range f.secrets {
		if strings.Contains(s, fmt.Sprint(value)) {
			return true
		}
	}
	return false
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// values tries options, bounds and examples.
func (f *formTest) values(t *testing.T) {
	for name, in := range f.inputs("config.") {
		var good, bad []any
		for _, o := range in.Options {
			good = append(good, o.Value)
			if o.Label == "" {
				t.Errorf("%s: got no label for %q", in.Name, o.Value)
			}
		}
		switch in.Type {
		case destination.InputChoice:
			bad = append(bad, "no such option")
		case destination.InputNumber:
			good, bad = append(good, in.Min, in.Max), append(bad, in.Min-1, in.Max+1)
		}
		if in.Example != "" && f.least[name] == nil {
			good = append(good, in.Example)
		}
		for _, v := range good {
			if _, err := f.check(t, name, v, administrator); err != nil && !f.contradicts(v) {
				t.Errorf("%s = %v: got %v, want nil", in.Name, v, err)
			}
			if _, err := f.check(t, name, v, destination.Rules{}); (err != nil) != in.Administrators && !f.contradicts(v) {
				t.Errorf("%s = %v by an owner: got %v, want refused: %t", in.Name, v, err, in.Administrators)
			}
		}
		for _, v := range bad {
			f.refusal(t, name, v)
		}
	}
	f.examples(t)
}

// contradicts reports whether an example and the secrets name different accounts.
func (f *formTest) contradicts(example any) bool {
	s, ok := example.(string)
	return ok && strings.Contains(s, "@") && !f.secretSays(s)
}

// examples tries all examples of what is required together.
func (f *formTest) examples(t *testing.T) {
	all := formTest{kind: f.kind, least: map[string]any{}, secrets: maps.Clone(f.secrets)}
	for name, in := range f.inputs("config.") {
		if in.Required {
			all.least[name] = in.Example
		}
	}
	for name, in := range f.inputs("secrets.") {
		if in.Example != "" {
			all.secrets[name] = in.Example
		}
	}
	if _, err := all.check(t, "", nil, destination.Rules{}); err != nil {
		t.Errorf("the examples together: got %v, want nil", err)
	}
}

// page looks for each input, with its label, in a table of the page.
func (f *formTest) page(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range f.form.Inputs {
		_, name, _ := strings.Cut(in.Name, ".")
		found := false
		for line := range strings.Lines(string(text)) {
			found = found || strings.HasPrefix(line, "| `") && strings.Contains(line, "`"+name+"`") && strings.Contains(line, "| "+in.Label+" |")
		}
		if !found {
			t.Errorf("%s: got no row with `%s` and %q", path, name, in.Label)
		}
	}
}
