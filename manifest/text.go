package manifest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxText bounds a text that stands in a file of its own, in bytes.
const maxText = 64 << 10

// Text is a text that stands in an environment variable or in a file of its own,
// or, where that is allowed, in the manifest. However it is printed, it is not
// shown.
type Text struct {
	At        Place
	env, file string
	value     string
}

// Format prints where the text stands, whatever the verb.
func (t *Text) Format(f fmt.State, _ rune) {
	where := "a text"
	switch {
	case t == nil:
		where = "nothing"
	case t.env != "":
		where = "the text of " + t.env
	case t.file != "":
		where = "the text in " + t.file
	}
	_, _ = io.WriteString(f, where)
}

// plain reports whether the manifest itself has the text.
func (t *Text) plain() bool { return t.env == "" && t.file == "" }

// resolve fetches the text. Files stand relative to the folder of the manifest;
// the line breaks at their end do not count.
func (t *Text) resolve(getenv func(string) string) error {
	switch {
	case t.env != "":
		if t.value = getenv(t.env); t.value == "" {
			return fmt.Errorf("the environment variable %s is not set", t.env)
		}
	case t.file != "":
		value, err := readText(t.path())
		if err != nil {
			return err
		}
		t.value = value
	}
	return nil
}

func (t *Text) path() string {
	if filepath.IsAbs(t.file) {
		return t.file
	}
	return filepath.Join(filepath.Dir(t.At.File), t.file)
}

func readText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxText {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxText)
	}
	value := strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return value, nil
}

// Resolve fetches every text that stands elsewhere, so that nothing is missing
// half way. It returns [Problems].
func (m *Manifest) Resolve(getenv func(string) string) error {
	var problems Problems
	fetch := func(t *Text) {
		if t == nil {
			return
		}
		if err := t.resolve(getenv); err != nil {
			problems.add(t.At, "%v", err)
		}
	}
	for _, n := range m.Namespaces {
		for _, s := range n.Streams.Items {
			eachText(s.Config, fetch)
			for _, t := range s.Secrets {
				fetch(t)
			}
		}
		for _, t := range n.Tokens.Items {
			fetch(t.Text)
		}
		for _, u := range n.Users.Items {
			fetch(u.Password)
		}
		for _, a := range n.Notices.Items {
			fetch(a.Address)
		}
	}
	problems.sort()
	return problems.err()
}

// eachText calls f with every text of a configuration that stands elsewhere.
func eachText(v any, f func(*Text)) {
	switch v := v.(type) {
	case *Text:
		f(v)
	case []any:
		for _, item := range v {
			eachText(item, f)
		}
	case map[string]any:
		for _, item := range v {
			eachText(item, f)
		}
	}
}

// revealed returns a configuration with all texts in their places.
func revealed(v any) any {
	switch v := v.(type) {
	case *Text:
		return v.value
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = revealed(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = revealed(v[name])
		}
		return out
	}
	return v
}
