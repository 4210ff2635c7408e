package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// Export returns a document that says what the server has in a namespace, as far
// as the caller may read it: applied, it changes nothing. Defaults are left out,
// and so is whether a stream is paused. No secret stands in it, nor the value of a
// header or the query of an address: in their places are names of environment
// variables, which its head lists.
func (p *Planner) Export(ctx context.Context, namespace string) ([]byte, error) {
	all := &Namespace{Path: namespace, At: Place{File: "export"}}
	for _, managed := range []*bool{&all.Streams.Managed, &all.Tokens.Managed, &all.Notices.Managed} {
		*managed = true
	}
	all.Members.Managed, all.Users.Managed = namespace != sluice.Instance, namespace == sluice.Instance
	var have *state
	if err := patiently(ctx, func() (err error) { have, err = p.read(ctx, &Manifest{Namespaces: []*Namespace{all}}); return err }); err != nil {
		return nil, err
	}
	e := &exporter{have: have, scope: have.scopes[all], taken: map[string]bool{}}
	return e.document(namespace)
}

// exporter writes one document.
type exporter struct {
	have     *state
	scope    *scope
	taken    map[string]bool // names of variables
	comments []string
}

func (e *exporter) document(namespace string) ([]byte, error) {
	doc := mapping("version", Version, "namespace", namespace)
	if namespace == sluice.Instance {
		add(doc, "users", e.users())
	} else {
		add(doc, "members", e.members())
	}
	add(doc, "notices", e.notices())
	add(doc, "tokens", e.tokens(namespace))
	streams, err := e.streams()
	if err != nil {
		return nil, err
	}
	add(doc, "streams", streams)
	var out bytes.Buffer
	for _, line := range e.comments {
		fmt.Fprintf(&out, "# %s\n", Escaped(line)) // a name must not end its comment
	}
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	return out.Bytes(), enc.Close()
}

// mapping returns a mapping of names and values, in their order.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		add(n, pairs[i].(string), pairs[i+1])
	}
	return n
}

func add(n *yaml.Node, name string, v any) {
	value, ok := v.(*yaml.Node)
	if !ok {
		value = &yaml.Node{}
		_ = value.Encode(v) // texts, numbers and lists of them
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: name, Tag: "!!str"}
	n.Content = append(n.Content, key, value)
}

func sequence() *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode} }

// reference returns {env: NAME} with a variable that the head explains.
func (e *exporter) reference(what string, words ...string) *yaml.Node {
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.Join(words, "_"))
	if strings.HasPrefix(base, ownVariables) || base[0] >= '0' && base[0] <= '9' {
		base = "STREAM_" + base // the program's own are refused, and shells know none that begins with a digit
	}
	name := base
	for i := 2; e.taken[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	e.taken[name] = true
	e.comments = append(e.comments, name+": "+what)
	n := mapping("env", name)
	n.Style = yaml.FlowStyle
	return n
}

func (e *exporter) users() *yaml.Node {
	out := sequence()
	for _, u := range e.have.users {
		n := mapping("name", u.Name)
		if u.Administrator {
			add(n, "administrator", true)
		}
		if u.Disabled {
			add(n, "disabled", true)
		}
		out.Content = append(out.Content, n)
	}
	return out
}

func (e *exporter) members() *yaml.Node {
	out := sequence()
	for _, m := range e.scope.members {
		out.Content = append(out.Content, mapping("user", m.Name, "role", m.Role))
	}
	return out
}

func (e *exporter) notices() *yaml.Node {
	out := sequence()
	for i, a := range e.scope.notices {
		n := mapping("kind", a.Kind)
		if a.Kind == "email" {
			add(n, "address", a.Address)
		} else {
			add(n, "address", e.reference("where notices go, "+hostOf(a.Address), "notice", strconv.Itoa(i+1)))
		}
		out.Content = append(out.Content, n)
	}
	return out
}

// tokens lists those of producers. Of several with one name it keeps the first.
func (e *exporter) tokens(namespace string) *yaml.Node {
	out := sequence()
	seen := map[string]bool{}
	for _, t := range e.have.tokens {
		if !ofNamespace(t, namespace) {
			continue
		}
		if seen[t.Name] {
			e.comments = append(e.comments, fmt.Sprintf("There is another producers' token %q, %s: revoke one.", t.Name, t.ID))
			continue
		}
		seen[t.Name] = true
		n := mapping("name", t.Name)
		if t.RateLimit != 0 {
			add(n, "rate_limit", t.RateLimit)
		}
		out.Content = append(out.Content, n)
	}
	return out
}

func (e *exporter) streams() (*yaml.Node, error) {
	out := sequence()
	for i := range e.scope.streams {
		s := &e.scope.streams[i]
		if s.Name == "" {
			e.comments = append(e.comments, fmt.Sprintf("Stream %d has no name and is left out: sluice stream update %d --name NAME", s.ID, s.ID))
			continue
		}
		n, err := e.stream(s)
		if err != nil {
			return nil, fmt.Errorf("read stream %d: %w", s.ID, err)
		}
		out.Content = append(out.Content, n)
	}
	return out, nil
}

func (e *exporter) stream(s *client.Stream) (*yaml.Node, error) {
	n := mapping("name", s.Name, "kind", s.Kind)
	config, err := e.config(s)
	if err != nil {
		return nil, err
	}
	add(n, "config", config)
	secrets := mapping()
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if !strings.HasPrefix(name, replaced) {
			add(secrets, name, e.reference(fmt.Sprintf("the secret %s of stream %s", name, s.Name), s.Name, name))
		}
	}
	if len(secrets.Content) > 0 {
		add(n, "secrets", secrets)
	}
	filter := mapping()
	for _, l := range []struct {
		name string
		list []string
	}{{"event_types", s.Filter.EventTypes}, {"excluded_event_types", s.Filter.ExcludedEventTypes}, {"namespaces", s.Filter.Namespaces}} {
		if len(l.list) > 0 {
			add(filter, l.name, l.list)
		}
	}
	if len(filter.Content) > 0 {
		add(n, "filter", filter)
	}
	if s.Start != "now" {
		add(n, "start", s.Start)
	}
	if s.Until != "" {
		add(n, "until", s.Until)
	}
	if s.Strict {
		add(n, "strict", true)
	}
	return n, nil
}

// config writes the members that are not at their defaults, in the order of the
// form.
func (e *exporter) config(s *client.Stream) (*yaml.Node, error) {
	var members map[string]any
	if err := json.Unmarshal(s.Config, &members); err != nil {
		return nil, err
	}
	f := form{e.have.kinds[s.Kind]}
	names := slices.DeleteFunc(f.names("config."), func(name string) bool { return members[name] == nil })
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	out := mapping()
	for _, name := range names {
		field, v := f.field("config."+name), members[name]
		if _, checkbox := v.(bool); empty(v) || isDefault(field, v) && !checkbox {
			continue // what a checkbox is by default may depend on other fields
		}
		add(out, name, e.value(s, name, v))
	}
	return out, nil
}

// value writes a member of a configuration.
func (e *exporter) value(s *client.Stream, name string, v any) any {
	switch v := v.(type) {
	case float64:
		return int64(v) // there are no fractions in configurations
	case string:
		if shown(v) != v {
			return e.reference(fmt.Sprintf("%s of stream %s, %s", name, s.Name, shown(v)), s.Name, name)
		}
	case []any:
		out := sequence()
		for _, row := range asRows(v) {
			out.Content = append(out.Content, e.row(s, row))
		}
		return out
	}
	return v
}

// row writes a row of a list, of which only the name and checkboxes are shown.
func (e *exporter) row(s *client.Stream, row map[string]any) *yaml.Node {
	n := mapping("name", rowName(row))
	for _, column := range slices.Sorted(maps.Keys(row)) {
		switch v := row[column].(type) {
		case string:
			if column != "name" {
				add(n, column, e.reference(fmt.Sprintf("%s of %s of stream %s", column, rowName(row), s.Name), s.Name, rowName(row)))
			}
		case bool:
			if !v {
				add(n, column, false)
			}
		default:
			add(n, column, v)
		}
	}
	return n
}
