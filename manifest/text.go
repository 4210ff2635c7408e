package manifest

import (
	"fmt"
	"io"
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
	switch {
	case t == nil:
		_, _ = io.WriteString(f, "nothing")
	case t.plain():
		_, _ = io.WriteString(f, "a text")
	default:
		_, _ = io.WriteString(f, "the text "+t.where())
	}
}

// where says where the text stands: "of NAME", "in PATH".
func (t *Text) where() string {
	if t.env != "" {
		return "of " + t.env
	}
	return "in " + t.file
}

// plain reports whether the manifest itself has the text.
func (t *Text) plain() bool { return t.env == "" && t.file == "" }

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
