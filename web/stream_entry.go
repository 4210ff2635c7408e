package web

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

const (
	configPrefix  = "config."
	secretsPrefix = "secrets."
	// removeSuffix ends the name of the field that removes a stored secret.
	removeSuffix = ".remove"
	checked      = "true" // value of a checkbox that is selected
)

// entry is what the form of a stream holds, or a stream as the form would.
type entry struct {
	Name       string
	values     map[string]string      // by the name of the input, and of those of every kind; lists and secrets left out
	secrets    map[string]secret.Text // that were entered, by the name of the input
	removed    map[string]bool        // secrets that are to go
	headers    []headerEntry
	types      []string
	excluded   []string
	namespaces []string
	searches   map[string]string // within choices, by the name of the list
	searched   map[string]string // as it was when the form was made
	version    uint64            // of the stream that the form was made of
}

// headerEntry is a row of the table of headers. Rows of the stored stream have
// the number of their header in the key.
type headerEntry struct {
	Key, Name string
	Active    bool
	stored    bool        // the stream has a value for it
	value     secret.Text // that was entered, "" for none
}

func (h *headerEntry) blank() bool { return h.Name == "" && h.value == "" && !h.stored }

// valueField is the name of the field with the value of the header.
func (h *headerEntry) valueField() string { return "header." + h.Key + ".value" }

// newEntry is an empty form.
func newEntry(kind *control.KindForm) *entry {
	e := &entry{values: map[string]string{startField: "now"}, secrets: map[string]secret.Text{}, removed: map[string]bool{}}
	for _, in := range kind.Inputs {
		if in.Default != nil {
			e.values[in.Name] = fieldText(in.Default)
		}
		if in.Type == destination.InputList {
			e.headers = []headerEntry{{Key: "n1", Active: true}}
		}
	}
	return e
}

// storedEntry is the form of a stream as it is stored.
func storedEntry(st *control.Stream, kind *control.KindForm) *entry {
	e := newEntry(kind)
	e.Name, e.version, e.headers = st.Name, st.Version, nil
	e.types, e.excluded, e.namespaces = st.Filter.EventTypes, st.Filter.ExcludedEventTypes, st.Filter.Namespaces
	for name, value := range membersOf(st.Config) {
		e.values[configPrefix+name] = fieldText(value)
	}
	e.values[untilField], e.values[strictField] = untilOf(st), fieldText(st.Strict)
	for i, h := range headersOf(st) {
		e.headers = append(e.headers, headerEntry{Key: storedKey(st, i), Name: h.Name, Active: h.Active, stored: true})
	}
	return e
}

func storedKey(st *control.Stream, i int) string {
	if i < len(st.HeaderNumbers) {
		return "s" + strconv.FormatInt(st.HeaderNumbers[i], 10)
	}
	return "s0" + strconv.Itoa(i)
}

// storedHeader is a header of a configuration.
type storedHeader struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Active bool   `json:"active"`
}

func headersOf(st *control.Stream) []storedHeader {
	var c struct {
		Headers []storedHeader `json:"headers"`
	}
	if json.Unmarshal(st.Config, &c) != nil {
		return nil // a kind whose headers are something else
	}
	return c.Headers
}

// membersOf returns the members of a configuration, without lists.
func membersOf(config json.RawMessage) map[string]any {
	out := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.UseNumber()
	if dec.Decode(&out) != nil {
		return nil
	}
	for name, value := range out {
		switch value.(type) {
		case string, bool, json.Number:
		default:
			delete(out, name)
		}
	}
	return out
}

// fieldText returns a value as a field has it.
func fieldText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return checked
		}
		return ""
	case int:
		return strconv.Itoa(v)
	case json.Number:
		return v.String()
	}
	return ""
}

// maxHeaderRows bounds the rows of a form; control says how many there may be.
const maxHeaderRows = 64

// postedEntry reads a form. What is held of it was entered before.
func postedEntry(form url.Values, kind *control.KindForm, st *control.Stream, held map[string]secret.Text) *entry {
	e := &entry{Name: strings.TrimSpace(form.Get("name")), values: map[string]string{}, secrets: map[string]secret.Text{}, removed: map[string]bool{}}
	e.version, _ = strconv.ParseUint(form.Get("version"), 10, 64) // none is 0, which no stream has
	for _, in := range kind.Inputs {
		switch {
		case in.Secret:
			if text := cmpSecret(form.Get(in.Name), held[in.Name]); text != "" {
				e.secrets[in.Name] = text
			} else if form.Get(in.Name+removeSuffix) != "" {
				e.removed[in.Name] = true
			}
		case in.Type == destination.InputCheckbox && form.Has(in.Name):
			e.values[in.Name] = checked
		case in.Type == destination.InputList:
			e.headers = postedHeaders(form, st, held)
		default:
			e.values[in.Name] = strings.TrimSpace(form.Get(in.Name))
		}
	}
	e.readTimes(form, st)
	e.types, e.excluded, e.namespaces = postedList(form, listTypes), postedList(form, listExcluded), postedList(form, listNamespaces)
	e.searches, e.searched = map[string]string{}, map[string]string{}
	for _, name := range choiceNames() {
		e.searches[name], e.searched[name] = strings.TrimSpace(form.Get(name+searchSuffix)), strings.TrimSpace(form.Get(name+searchedSuffix))
	}
	return e
}

func cmpSecret(entered string, held secret.Text) secret.Text {
	if text := strings.TrimSpace(entered); text != "" {
		return secret.Text(text)
	}
	return held
}

func postedHeaders(form url.Values, st *control.Stream, held map[string]secret.Text) (out []headerEntry) {
	stored := map[string]bool{}
	if st != nil {
		for i := range headersOf(st) {
			stored[storedKey(st, i)] = true
		}
	}
	for _, key := range form["header"] {
		known := slices.ContainsFunc(out, func(h headerEntry) bool { return h.Key == key })
		if known || len(out) == maxHeaderRows || !validKey(key) {
			continue
		}
		h := headerEntry{Key: key, Name: strings.TrimSpace(form.Get("header." + key + ".name")), Active: form.Has("header." + key + ".active"), stored: stored[key]}
		h.value = cmpSecret(form.Get(h.valueField()), held[h.valueField()])
		out = append(out, h)
	}
	return out
}

// validKey reports whether key may be that of a row.
func validKey(key string) bool {
	return len(key) >= 2 && len(key) <= 24 && (key[0] == 's' || key[0] == 'n') && strings.Trim(key[1:], "0123456789") == ""
}

// postedList reads choices: those that are selected and those that are typed, one
// a line.
func postedList(form url.Values, name string) []string {
	out := []string{}
	for _, text := range append(slices.Clone(form[name]), strings.Split(form.Get(name+".others"), "\n")...) {
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// addHeader adds an empty row.
func (e *entry) addHeader() {
	next := 1
	for i := range e.headers {
		if n, err := strconv.Atoi(e.headers[i].Key[1:]); err == nil && e.headers[i].Key[0] == 'n' {
			next = max(next, n+1)
		}
	}
	e.headers = append(e.headers, headerEntry{Key: "n" + strconv.Itoa(next), Active: true})
}

func (e *entry) deleteHeader(key string) {
	e.headers = slices.DeleteFunc(e.headers, func(h headerEntry) bool { return h.Key == key })
}

// toHold returns what was entered and must not stand in a page.
func (e *entry) toHold() map[string]secret.Text {
	out := map[string]secret.Text{}
	for name, text := range e.secrets {
		out[name] = text
	}
	for i := range e.headers {
		if h := &e.headers[i]; h.value != "" {
			out[h.valueField()] = h.value
		}
	}
	return out
}

// filter is the filter that was entered.
func (e *entry) filter() sluice.Filter {
	return sluice.Filter{EventTypes: e.types, ExcludedEventTypes: e.excluded, Namespaces: e.namespaces}
}

// applies reports whether an input goes with what the others hold.
func (e *entry) applies(in *destination.Input) bool {
	name, want, _ := strings.Cut(in.When, "=")
	return in.When == "" || e.values[name] == want
}

// spec is the stream that the form asks for.
func (e *entry) spec(namespace string, kind *control.KindForm) (control.StreamSpec, error) {
	spec := control.StreamSpec{Namespace: namespace, Name: e.Name, Kind: kind.Name, Filter: e.filter(), Secrets: e.sentSecrets()}
	if err := e.setTimes(&spec); err != nil {
		return spec, err
	}
	members, err := e.members(kind, nil)
	if err != nil {
		return spec, err
	}
	spec.Config, err = json.Marshal(members)
	return spec, err
}

// patch is the change that the form asks for: what differs from the stream.
func (e *entry) patch(st *control.Stream, kind *control.KindForm) (control.StreamPatch, error) {
	patch := control.StreamPatch{Version: &e.version, Filter: &control.FilterPatch{EventTypes: &e.types, ExcludedEventTypes: &e.excluded, Namespaces: &e.namespaces}}
	if e.Name != st.Name {
		patch.Name = &e.Name
	}
	if secrets := e.sentSecrets(); len(secrets) > 0 {
		patch.Secrets = secrets
	}
	if err := e.patchTimes(&patch, st); err != nil {
		return patch, err
	}
	members, err := e.members(kind, st)
	if err != nil {
		return patch, err
	}
	if len(members) > 0 {
		patch.Config, err = json.Marshal(members)
	}
	return patch, err
}

// isStored reports whether the stream is as the form asks for, so that there is
// nothing to do. Of secrets that is not known.
func (e *entry) isStored(st *control.Stream, kind *control.KindForm) bool {
	members, err := e.members(kind, st)
	for i := range kind.Inputs {
		if in := &kind.Inputs[i]; in.Type == destination.InputList && slices.Equal(e.sentHeaders(st), headersOf(st)) {
			delete(members, strings.TrimPrefix(in.Name, configPrefix))
		}
	}
	var times control.StreamPatch
	if e.patchTimes(&times, st) != nil || times.Strict != nil || times.Until != nil {
		return false
	}
	return err == nil && len(members) == 0 && len(e.secrets)+len(e.removed) == 0 && e.Name == st.Name &&
		slices.Equal(e.types, st.Filter.EventTypes) && slices.Equal(e.excluded, st.Filter.ExcludedEventTypes) && slices.Equal(e.namespaces, st.Filter.Namespaces)
}

func (e *entry) sentSecrets() map[string]secret.Text {
	out := map[string]secret.Text{}
	for name, text := range e.secrets {
		out[strings.TrimPrefix(name, secretsPrefix)] = text
	}
	for name := range e.removed {
		out[strings.TrimPrefix(name, secretsPrefix)] = ""
	}
	return out
}

// members returns the members of the configuration that the form has, of a stream
// those that differ from it; null takes one away.
func (e *entry) members(kind *control.KindForm, st *control.Stream) (map[string]any, error) {
	var before *entry
	if st != nil {
		before = storedEntry(st, kind)
	}
	out := map[string]any{}
	for i := range kind.Inputs {
		in := &kind.Inputs[i]
		name, ok := strings.CutPrefix(in.Name, configPrefix)
		switch {
		case !ok || !e.applies(in):
		case in.Type == destination.InputList:
			if list := e.sentHeaders(st); before == nil && len(list) > 0 || before != nil && !e.sameHeaders(before) {
				out[name] = list
			}
		case before == nil && e.values[in.Name] == fieldText(in.Default), before != nil && e.values[in.Name] == before.values[in.Name]:
		default:
			value, err := valueOf(in, e.values[in.Name])
			if err != nil {
				return nil, err
			}
			if value != nil || before != nil {
				out[name] = value
			}
		}
	}
	return out, nil
}

// valueOf returns a value as the configuration has it, nil for none.
func valueOf(in *destination.Input, text string) (any, error) {
	switch {
	case in.Type == destination.InputCheckbox:
		return text == checked, nil
	case text == "":
		return nil, nil
	case in.Type == destination.InputNumber:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, sluice.Errorf(sluice.Invalid, "%s must be a whole number", in.Name)
		}
		return n, nil
	}
	return text, nil
}

func (e *entry) sameHeaders(before *entry) bool {
	return slices.EqualFunc(e.sent(), before.headers, func(a, b headerEntry) bool {
		return a.Key == b.Key && a.Name == b.Name && a.Active == b.Active && a.value == ""
	})
}

// sent returns the rows that are not empty: those that are sent.
func (e *entry) sent() []headerEntry {
	return slices.DeleteFunc(slices.Clone(e.headers), func(h headerEntry) bool { return h.blank() })
}

// sentHeaders returns the list of headers with their values, those that are
// stored included: what is left out would be taken for that of another header.
func (e *entry) sentHeaders(st *control.Stream) []storedHeader {
	stored := map[string]string{}
	if st != nil {
		for i, h := range headersOf(st) {
			stored[storedKey(st, i)] = h.Value
		}
	}
	out := []storedHeader{}
	for _, h := range e.sent() {
		value := h.value.Reveal()
		if value == "" && h.stored {
			value = stored[h.Key]
		}
		out = append(out, storedHeader{Name: h.Name, Value: value, Active: h.Active})
	}
	return out
}
