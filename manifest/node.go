package manifest

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is a node of a file that is read: what it ought to be is asked of it, and
// what it is not is told with its place.
type value struct {
	node *yaml.Node
	path string // "streams[0].config.url"
	r    *reader
}

func (v value) at() Place { return v.r.place(v.node) }

// name returns how problems call the value.
func (v value) name() string {
	if v.path == "" {
		return "the document"
	}
	return v.path
}

func (v value) expected(what string) {
	v.r.problems.add(v.at(), "%s must be %s, not %s", v.name(), what, describe(v.node))
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" }

// members returns the members of a mapping by name, those that are not known told
// and left out. Without known names any will do.
func (v value) members(known ...string) map[string]value {
	out := map[string]value{}
	if v.node.Kind != yaml.MappingNode {
		v.expected("a mapping")
		return out
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if len(known) > 0 && !slices.Contains(known, key.Value) {
			v.r.problems.add(v.r.place(key), "%s has no field %q: the fields are %s", v.name(), shorten(key.Value), strings.Join(known, ", "))
			continue
		}
		out[key.Value] = value{node: v.node.Content[i+1], path: join(v.path, key.Value), r: v.r}
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func shorten(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}

// items returns the items of a list.
func (v value) items() []value {
	if v.node.Kind != yaml.SequenceNode {
		v.expected("a list")
		return nil
	}
	out := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		out[i] = value{node: n, path: v.path + "[" + strconv.Itoa(i) + "]", r: v.r}
	}
	return out
}

// text returns a text. What YAML takes for something else has to be quoted, so
// that nobody has to know YAML's rules to know what is stored.
func (v value) text() string {
	if v.node.Kind != yaml.ScalarNode || v.null() {
		v.expected("text")
		return ""
	}
	if v.node.ShortTag() != "!!str" {
		v.r.problems.add(v.at(), "%s must be text, not %s: put it in quotes", v.name(), describe(v.node))
		return ""
	}
	return v.node.Value
}

// word returns a text of one line that is not empty.
func (v value) word() string {
	before := len(v.r.problems)
	s := v.text()
	switch {
	case len(v.r.problems) > before:
	case s == "":
		v.r.problems.add(v.at(), "%s must not be empty", v.name())
	case !isLine(s):
		v.r.problems.add(v.at(), "%s must be one line of text, without control characters", v.name())
	}
	return s
}

// when returns a text that may look like a date.
func (v value) when() string {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!timestamp" {
		return v.node.Value
	}
	return v.text()
}

func (v value) boolean() bool {
	var b bool
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" || v.node.Decode(&b) != nil {
		v.expected("true or false")
	}
	return b
}

// decimals are numbers that everybody reads alike. YAML takes 010 for 8, and has
// more such spellings.
var decimals = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// decimal reports whether a value is a number in the spelling of everybody, and
// tells when it is one in another.
func (v value) decimal() bool {
	tag, text := v.node.ShortTag(), v.node.Value
	infinite := tag == "!!float" && strings.ContainsAny(text, "nN") // .inf, .nan: told elsewhere
	if tag != "!!int" && tag != "!!float" || infinite || decimals.MatchString(text) {
		return true
	}
	v.r.problems.add(v.at(), "%s is the number %s: write it in decimal, without leading zeros and underscores", v.name(), shorten(text))
	return false
}

func (v value) count() int {
	var n int64
	if v.node.Kind == yaml.ScalarNode && !v.decimal() {
		return 0
	}
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" || v.node.Decode(&n) != nil || n < 0 || n > math.MaxInt32 {
		v.r.problems.add(v.at(), "%s must be a whole number of 0 or more", v.name())
		return 0
	}
	return int(n)
}

func (v value) choice(words ...string) string {
	s := v.text()
	if s != "" && !slices.Contains(words, s) {
		v.r.problems.add(v.at(), "%s must be one of %s, not %q", v.name(), strings.Join(words, ", "), shorten(s))
	}
	return s
}

func (v value) texts() []string {
	out := []string{}
	for _, item := range v.items() {
		out = append(out, item.word())
	}
	return out
}

// reference returns a text that must not stand in the manifest itself.
func (v value) reference() *Text {
	if v.node.Kind != yaml.MappingNode {
		v.r.problems.add(v.at(), "%s is a secret, which does not belong into this file: name where it is, {env: NAME} or {file: PATH}", v.name())
		return nil
	}
	return v.elsewhere()
}

// elsewhere reads {env: NAME} or {file: PATH}.
func (v value) elsewhere() *Text {
	m := v.members("env", "file")
	t := &Text{At: v.at()}
	if e, ok := m["env"]; ok {
		t.env = e.word()
		if strings.HasPrefix(strings.ToUpper(t.env), ownVariables) {
			v.r.problems.add(e.at(), "%s must not be %s: variables that begin with %s are this program's own, its tokens among them", e.name(), shorten(t.env), ownVariables)
		}
	}
	if f, ok := m["file"]; ok {
		t.file = f.word()
	}
	if len(m) != 1 {
		v.r.problems.add(v.at(), "%s must be either {env: NAME} or {file: PATH}", v.name())
	}
	return t
}

// secretly returns a text that may stand in the manifest or elsewhere.
func (v value) secretly() *Text {
	if v.node.Kind == yaml.MappingNode {
		return v.elsewhere()
	}
	return &Text{At: v.at(), value: v.word(), known: true}
}

// free returns a value of any form, and keeps the places of all in it by their
// paths within something. A mapping of nothing but env or file is a text that
// stands elsewhere.
func (v value) free(places map[string]Place, within string) any {
	places[strings.TrimPrefix(v.path, within+".")] = v.at()
	switch v.node.Kind {
	case yaml.SequenceNode:
		out := []any{}
		for _, item := range v.items() {
			out = append(out, item.free(places, within))
		}
		return out
	case yaml.MappingNode:
		if v.isReference() {
			return v.elsewhere()
		}
		out := map[string]any{}
		for name, m := range v.members() {
			out[name] = m.free(places, within)
		}
		return out
	}
	return v.scalar()
}

func (v value) isReference() bool {
	c := v.node.Content
	return len(c) > 0 && !slices.ContainsFunc(keysOf(c), func(k string) bool { return k != "env" && k != "file" })
}

func keysOf(content []*yaml.Node) []string {
	var out []string
	for i := 0; i < len(content); i += 2 {
		out = append(out, content[i].Value)
	}
	return out
}

func (v value) scalar() any {
	if !v.decimal() {
		return nil
	}
	switch v.node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return v.boolean()
	case "!!int":
		var n int64
		if v.node.Decode(&n) != nil {
			v.r.problems.add(v.at(), "%s is a number that is too large", v.name())
		}
		return json.Number(strconv.FormatInt(n, 10))
	case "!!float":
		var f float64
		if v.node.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			v.r.problems.add(v.at(), "%s is not a number that can be stored", v.name())
			f = 0
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return v.node.Value
}
