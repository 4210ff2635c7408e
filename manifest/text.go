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
	known     bool // value is the text
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
	t.known = true
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
// half way. It returns [Problems]. A manifest that is not resolved can be planned,
// and the rest of it compared, but not carried out.
func (m *Manifest) Resolve(getenv func(string) string) error {
	var problems Problems
	m.each(func(t *Text) {
		if err := t.resolve(getenv); err != nil {
			problems.add(t.At, "%v", err)
		}
	})
	problems.sort()
	return problems.err()
}

// resolved reports whether every text is known.
func (m *Manifest) resolved() bool {
	all := true
	m.each(func(t *Text) { all = all && t.known })
	return all
}

// each calls f with every text that may stand elsewhere.
func (m *Manifest) each(f func(*Text)) {
	fetch := func(t *Text) {
		if t != nil {
			f(t)
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

// revealed returns a value of a configuration with all texts in their places. In
// the place of one that is not known is what have, the same value as it is now,
// has there; rows are the same when their names are.
func revealed(v, have any) any {
	switch v := v.(type) {
	case *Text:
		if v.known {
			return v.value
		}
		return have
	case []any:
		now := rows(have)
		out := make([]any, len(v))
		for i := range v {
			out[i] = revealed(v[i], any(now[rowKey(v[i], i)]))
		}
		return out
	case map[string]any:
		now, _ := have.(map[string]any)
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = revealed(v[name], now[name])
			if _, text := v[name].(*Text); text && out[name] == nil && now == nil {
				out[name] = "unknown" // a new row, whose other members are compared
			}
		}
		return out
	}
	return v
}
