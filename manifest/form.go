package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// form is the server's description of a kind.
type form struct{ client.Kind }

// field returns the description of "config.NAME" or "secrets.NAME".
func (f form) field(name string) *client.Field {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return &f.Fields[i]
		}
	}
	return nil
}

// names lists the fields with the prefix, without it.
func (f form) names(prefix string) []string {
	var out []string
	for _, field := range f.Fields {
		if name, ok := strings.CutPrefix(field.Name, prefix); ok {
			out = append(out, name)
		}
	}
	return out
}

// checkForm tells what the server's description of the kind does not allow. The
// file alone must be able to create the stream.
func (b *builder) checkForm(s *Stream, f form) {
	for _, prefix := range []string{"config.", "secrets."} {
		names := slices.Sorted(maps.Keys(s.Config))
		if prefix == "secrets." {
			names = slices.Sorted(maps.Keys(s.Secrets))
		}
		for _, name := range names {
			if f.field(prefix+name) == nil {
				b.problems.add(s.at(prefix+name), "kind %s has no field %s%q: the fields are %s", s.Kind, prefix, shorten(name), strings.Join(f.names(prefix), ", "))
			}
		}
	}
	for i := range f.Fields {
		field := &f.Fields[i]
		if name, ok := strings.CutPrefix(field.Name, "config."); ok {
			b.checkMember(s, field, s.Config[name])
		} else if name, ok := strings.CutPrefix(field.Name, "secrets."); ok && field.Required && s.Secrets[name] == nil {
			b.problems.add(s.at("secrets"), "%s is missing: name where it is, {env: NAME} or {file: PATH}", field.Name)
		}
	}
}

func (b *builder) checkMember(s *Stream, field *client.Field, v any) {
	at := s.at(field.Name)
	if v == nil {
		if field.Required {
			b.problems.add(at, "%s is missing", field.Name)
		}
		return
	}
	if want := wrongType(field, v); want != "" {
		b.problems.add(at, "%s must be %s", field.Name, want)
		return
	}
	if list, ok := v.([]any); ok {
		for i, item := range list {
			b.checkRow(s, field, fmt.Sprintf("%s[%d]", field.Name, i), item)
		}
	}
}

// checkRow checks an object of a list.
func (b *builder) checkRow(s *Stream, field *client.Field, path string, item any) {
	row, ok := item.(map[string]any)
	if !ok {
		b.problems.add(s.at(path), "%s must be a mapping", path)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(row)) {
		i := slices.IndexFunc(field.Columns, func(c client.Field) bool { return c.Name == name })
		if i < 0 {
			b.problems.add(s.at(path+"."+name), "%s has no field %q", path, shorten(name))
			continue
		}
		if want := wrongType(&field.Columns[i], row[name]); want != "" {
			b.problems.add(s.at(path+"."+name), "%s.%s must be %s", path, name, want)
		}
	}
}

// wrongType says what a field must be, "" when the value is that.
func wrongType(field *client.Field, v any) string {
	_, text := v.(string)
	if t, ok := v.(*Text); ok && t != nil {
		text = true
	}
	switch field.Type {
	case "number":
		if n, ok := v.(json.Number); !ok || strings.ContainsAny(n.String(), ".e") {
			return "a whole number"
		}
	case "checkbox":
		if _, ok := v.(bool); !ok {
			return "true or false"
		}
	case "list":
		if _, ok := v.([]any); !ok {
			return "a list"
		}
	case "choice":
		var values []string
		for _, o := range field.Options {
			values = append(values, o.Value)
		}
		if word, ok := v.(string); ok && !slices.Contains(values, word) {
			return "one of " + strings.Join(values, ", ")
		}
		fallthrough
	default:
		if !text {
			return "text: put it in quotes"
		}
	}
	return ""
}

// canonical returns the configuration that the server will have stored, as far as
// this side can tell; false when it was told what is wrong. Texts that are not
// known are as they are now.
func (b *builder) canonical(s *Stream, now map[string]any, f form) (map[string]any, bool) {
	members, _ := revealed(s.Config, now).(map[string]any)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(members)
	if err != nil {
		b.problems.add(s.at("config"), "config cannot be written: %v", err)
		return nil, false
	}
	if b.Canonical != nil {
		stored, known, err := b.Canonical(s.Kind, raw, s.secrets(), s.missing())
		if err != nil {
			b.refused(s, err)
			return nil, false
		}
		if known {
			raw = stored
		}
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		b.problems.add(s.at("config"), "config cannot be read: %v", err)
		return nil, false
	}
	f.complete(out, s.Config)
	return out, true
}

// refused tells what is wrong with a configuration, at the field that the words
// begin with.
func (b *builder) refused(s *Stream, err error) {
	text := err.Error()
	path := text[:len(text)-len(strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz_.[]0123456789"))]
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Hint != "" {
		text += ": " + e.Hint
	}
	b.problems.add(s.at(strings.TrimRight(path, ".")), "%s", text)
}

// complete makes up for a server of another version: what only it knows has its
// default, and what it does not know and the file does not name is left out.
func (f form) complete(members map[string]any, named map[string]any) {
	for i := range f.Fields {
		field := described{&f.Fields[i]}
		name, ok := strings.CutPrefix(field.Name, "config.")
		if !ok || !f.applies(field.Field, members) {
			continue
		}
		field.fill(members, name)
		for _, row := range asRows(members[name]) {
			for i := range field.Columns {
				described{&field.Columns[i]}.fill(row, field.Columns[i].Name)
			}
		}
	}
	for name := range members {
		if _, asked := named[name]; !asked && f.field("config."+name) == nil {
			delete(members, name)
		}
	}
}

// described is the description of a field.
type described struct{ *client.Field }

// fill gives a member that is not there its default, if it has one.
func (d described) fill(members map[string]any, name string) {
	var value any
	if _, there := members[name]; !there && len(d.Default) > 0 && json.Unmarshal(d.Default, &value) == nil {
		members[name] = value
	}
}

func asRows(v any) (out []map[string]any) {
	list, _ := v.([]any)
	for _, item := range list {
		if row, ok := item.(map[string]any); ok {
			out = append(out, row)
		}
	}
	return out
}

// applies reports whether a field goes with the others.
func (f form) applies(field *client.Field, members map[string]any) bool {
	if field.When == "" {
		return true
	}
	other, want, _ := strings.Cut(strings.TrimPrefix(field.When, "config."), "=")
	value := members[other]
	if o := f.field("config." + other); value == nil && o != nil {
		_ = json.Unmarshal(o.Default, &value) // a text, or nothing that could be equal
	}
	return value == want
}

// secrets returns the plain secrets that are known.
func (s *Stream) secrets() map[string]string {
	out := map[string]string{}
	for name, t := range s.Secrets {
		if t != nil && t.known {
			out[name] = t.value
		}
	}
	return out
}

// missing names the secrets that are not known.
func (s *Stream) missing() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if t := s.Secrets[name]; t != nil && !t.known {
			names = append(names, name)
		}
	}
	return names
}

// unknown names the members of the configuration that hold texts that are not
// known.
func (s *Stream) unknown() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Config)) {
		some := false
		eachText(s.Config[name], func(t *Text) { some = some || !t.known })
		if some {
			names = append(names, "config."+name)
		}
	}
	return names
}

func (s *Stream) resolved() bool { return len(s.missing())+len(s.unknown()) == 0 }

// empty reports whether a value is none.
func empty(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) == 0
	}
	return v == nil || v == ""
}

func equal(a, b any) bool { return empty(a) && empty(b) || reflect.DeepEqual(a, b) }
