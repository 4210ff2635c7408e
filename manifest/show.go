package manifest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// notShown stands for values that are nobody's business.
const notShown = "(not shown)"

// shown returns a value of a configuration as a plan may show it: without texts
// that stand elsewhere, without values of headers, and without what addresses
// carry besides host and path, which is often a credential.
func shown(v any) any {
	switch v := v.(type) {
	case *Text:
		return notShown
	case string:
		return shownURL(v)
	case []any:
		var names []string
		for _, item := range v {
			names = append(names, rowName(item))
		}
		return names
	}
	return v
}

// rowName names a row of a list, of which nothing else is shown.
func rowName(item any) string {
	row, _ := item.(map[string]any)
	if name, ok := row["name"].(string); ok {
		return name
	}
	return notShown
}

func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return text
	}
	out := u.Scheme + "://"
	if u.User != nil {
		out += masked + "@"
	}
	out += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + masked
	}
	if u.Fragment != "" {
		out += "#" + masked
	}
	return out
}

// masked is what the server shows to those who may not read a value.
const masked = "***"

// hidden reports whether the server did not show a value.
func hidden(v any) bool {
	text, ok := v.(string)
	return ok && (text == masked || strings.Contains(text, "://") && (strings.HasSuffix(text, "?"+masked) || strings.HasSuffix(text, "#"+masked) || strings.Contains(text, "//"+masked+"@")))
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return notShown
	}
	return fmt.Sprintf("%s://%s/%s", u.Scheme, u.Host, masked)
}

// sortedNames lists the names of a mapping in their order.
func sortedNames(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
