package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/web/label"
)

// streamForm is the form of a stream as the page shows it.
type streamForm struct {
	Prefix     string // of the ids of its elements
	Action     string // where it is sent
	Kind       string // its name in the API
	Title      string // its name for people
	Stream     *control.Stream
	Version    uint64
	Draft      string // number of what is held for it
	Once       string // number of the form
	Name       fieldView
	Fields     []fieldView
	Headers    *headerTable // nil: the kind has none
	More       []fieldView
	MoreOpen   bool
	Facts      []fact // what of the stream cannot be changed here
	Choices    []choiceList
	Matched    string // how many events match the filter, "" when that was not asked for
	Warning    string
	Plain      bool     // it leads to an address without encryption
	PlainField string   // the id of the field with the address, "" without one
	Egress     []string // networks that deliveries come from
	Check      *control.Check
	Problem    *formProblem
	Marked     bool // the problem is at a field
	Changed    *changedView
}

// fieldView is one field.
type fieldView struct {
	ID, Name, Label, Hint string
	Type                  destination.InputType
	Value                 string // never of a secret
	Placeholder           string // what an empty field means
	Selected              bool   // a checkbox
	Options               []optionView
	Required, Secret      bool
	Set                   bool   // a secret that is stored
	Held                  bool   // a secret that was entered and is held
	Remove                string // name of the field that removes it, "" when it cannot be
	Button                string // replaces it
	Min, Max, Length      int    // 0 is no bound
	Problem               string
	Focus                 bool // the reader goes on here
}

type optionView struct {
	Value, Label string
	Selected     bool
}

// headerTable is the table of headers.
type headerTable struct {
	ID, Label, Hint, Problem string
	Rows                     []headerView
	Full                     bool
	Max                      int
	Focus                    bool // on what adds a row
}

type headerView struct {
	ID, Key, Name   string
	Number          int
	Active          bool
	Stored, Entered bool // there is a value, which is not shown
	Focus           bool
	Problem         string
}

// changedView shows what somebody else changed meanwhile.
type changedView struct {
	Address string // of the page without what was entered
	Rows    []changedRow
}

type changedRow struct{ Label, Stored, Entered string }

// formOf shows an entry.
func (e *entry) formOf(kind *control.KindForm, prefix string, st *control.Stream) *streamForm {
	f := &streamForm{Prefix: prefix, Kind: kind.Name, Title: kind.Title, Stream: st, Version: e.version, Name: fieldView{
		ID: prefix + "name", Name: "name", Label: label.English().Name, Type: destination.InputText, Value: e.Name, Length: sluice.MaxStreamName,
		Hint: "To know the stream by. It may be left empty.",
	}}
	basic := label.English().Fields()
	for i := range kind.Inputs {
		in := &kind.Inputs[i]
		switch view := e.fieldOf(in, prefix, st); {
		case in.Type == destination.InputList:
			f.Headers = e.tableOf(in, prefix)
		case in.Required || slices.Contains(basic, in.Label):
			f.Fields = append(f.Fields, view)
		default:
			f.More = append(f.More, view)
		}
		if strings.HasPrefix(strings.ToLower(e.values[in.Name]), "http://") {
			f.Plain = true
		}
	}
	f.addTimes(e, st)
	for _, view := range f.Fields {
		if strings.HasSuffix(view.Name, ".url") {
			f.PlainField = view.ID
		}
	}
	return f
}

func (e *entry) fieldOf(in *destination.Input, prefix string, st *control.Stream) fieldView {
	view := fieldView{
		ID: prefix + strings.ReplaceAll(strings.ReplaceAll(in.Name, ".", "-"), "_", "-"), Name: in.Name, Label: in.Label, Hint: in.Hint, Type: in.Type,
		Required: in.Required, Secret: in.Secret, Button: in.Button, Min: in.Min, Max: in.Max,
	}
	if in.Example != "" && in.Empty == "" {
		view.Hint += " For example " + in.Example + "."
	}
	if in.Secret {
		view.Button = cmp.Or(in.Button, "Add a new "+strings.ToLower(in.Label))
		view.Set = st != nil && st.Secrets[strings.TrimPrefix(in.Name, secretsPrefix)] != ""
		view.Held = e.secrets[in.Name] != ""
		if view.Set && !in.Required {
			view.Remove = in.Name + removeSuffix
		}
		return view
	}
	view.Value, view.Selected = e.values[in.Name], e.values[in.Name] == checked
	view.Placeholder = cmp.Or(in.Empty, fieldText(in.Default)) // what an empty field means
	for _, o := range in.Options {
		view.Options = append(view.Options, optionView{o.Value, o.Label, o.Value == view.Value})
	}
	return view
}

func (e *entry) tableOf(in *destination.Input, prefix string) *headerTable {
	t := &headerTable{ID: prefix + "headers", Label: in.Label, Hint: in.Hint, Max: in.Max, Full: in.Max > 0 && len(e.headers) >= in.Max}
	for i := range e.headers {
		h := &e.headers[i]
		t.Rows = append(t.Rows, headerView{
			ID: prefix + "header-" + h.Key, Key: h.Key, Name: h.Name, Number: i + 1, Active: h.Active, Stored: h.stored && h.value == "", Entered: h.value != "",
		})
	}
	return t
}

// focus has the reader go on where something was searched for, or a row was added
// or deleted.
func (f *streamForm) focus(do string) {
	if name, ok := strings.CutPrefix(do, doSearch); ok {
		f.choices(name).Focus = true
		return
	}
	if f.Headers == nil || do != doAddHeader && !strings.HasPrefix(do, doDeleteHeader) {
		return
	}
	if n := len(f.Headers.Rows); do == doAddHeader && n > 0 {
		f.Headers.Rows[n-1].Focus = true
	} else {
		f.Headers.Focus = true
	}
}

// fields returns all fields of the form.
func (f *streamForm) fields() []*fieldView {
	list := []*fieldView{&f.Name}
	for i := range f.Fields {
		list = append(list, &f.Fields[i])
	}
	for i := range f.More {
		list = append(list, &f.More[i])
	}
	return list
}

// refuse shows why the form was not done: at the field that the error names, else
// on top.
func (f *streamForm) refuse(e *sluice.Error, sent []headerEntry) {
	message, hint := f.words(e.Message), f.words(e.Hint)
	f.Problem = &formProblem{Message: sentence(message), Hint: sentence(hint)}
	problem := strings.TrimSpace(sentence(message) + " " + sentence(hint))
	elsewhere := func() {
		f.Problem, f.Marked = &formProblem{Message: "This was not done: see what is marked below."}, true
	}
	if rest, ok := strings.CutPrefix(e.Message, configPrefix+"headers"); ok && f.Headers != nil {
		elsewhere()
		f.Headers.refuse(rest, sentence(hint), sent, problem)
		return
	}
	for _, list := range []struct{ name, sign string }{{listTypes, "event type"}, {listNamespaces, "group or project"}, {listNamespaces, "groups or projects"}} {
		if strings.HasPrefix(e.Message, "filter: ") && strings.Contains(message, list.sign) {
			elsewhere()
			f.choices(list.name).Problem = problem
			return
		}
	}
	for i, view := range f.fields() {
		named := strings.HasPrefix(e.Message, view.Name+" ") || strings.HasPrefix(e.Message, view.Name+":")
		if named || i == 0 && strings.Contains(e.Message, "has the name") {
			elsewhere()
			view.Problem = problem
			return
		}
	}
}

// refuse shows a problem of the header with the number that rest begins with.
func (t *headerTable) refuse(rest, hint string, sent []headerEntry, whole string) {
	t.Problem = whole
	number, rest, ok := strings.Cut(strings.TrimPrefix(rest, "["), "].")
	i, err := strconv.Atoi(number)
	if !ok || err != nil || i >= len(sent) {
		return
	}
	member, rest, _ := strings.Cut(rest, " ")
	what := map[string]string{"name": label.English().Name, "value": "Value"}[strings.TrimSuffix(member, ":")]
	t.Problem = ""
	for j := range t.Rows {
		if t.Rows[j].Key == sent[i].Key {
			t.Rows[j].Problem = strings.TrimSpace(sentence(strings.TrimSpace(what+" "+rest)) + " " + hint)
			if strings.HasSuffix(member, ":") {
				t.Rows[j].Problem = strings.TrimSpace(sentence(rest) + " " + hint)
			}
		}
	}
}

func (f *streamForm) choices(name string) *choiceList {
	for i := range f.Choices {
		if f.Choices[i].Name == name {
			f.Choices[i].Open = true
			return &f.Choices[i]
		}
	}
	return &choiceList{}
}

// words puts a message of the API into those of the page.
func (f *streamForm) words(text string) string {
	if text == "" {
		return ""
	}
	for _, view := range f.fields() {
		if strings.Contains(view.Name, ".") {
			text = strings.ReplaceAll(text, view.Name, view.Label)
		} else if rest, ok := strings.CutPrefix(text, view.Name+" "); ok {
			text = view.Label + " " + rest
		}
	}
	if f.Headers != nil {
		text = strings.ReplaceAll(text, configPrefix+"headers", f.Headers.Label)
	}
	return pageWords(text)
}

// compare shows what is stored now beside what was entered.
func (f *streamForm) compare(e, now *entry, kind *control.KindForm, address string) {
	v := &changedView{Address: address}
	add := func(what, stored, entered string) {
		if stored != entered {
			v.Rows = append(v.Rows, changedRow{what, cmp.Or(stored, "nothing"), cmp.Or(entered, "nothing")})
		}
	}
	add(f.Name.Label, now.Name, e.Name)
	for i := range kind.Inputs {
		in := &kind.Inputs[i]
		switch {
		case in.Secret && e.secrets[in.Name] != "":
			add(in.Label, "not shown", "a new one")
		case in.Secret || !e.applies(in):
		case in.Type == destination.InputCheckbox:
			add(in.Label, selectedWords(now.values[in.Name]), selectedWords(e.values[in.Name]))
		case in.Type == destination.InputList:
			add(in.Label, headerWords(now.headers), headerWords(e.sent()))
		default:
			add(in.Label, now.values[in.Name], e.values[in.Name])
		}
	}
	add("End", now.values[untilField], e.values[untilField])
	add(strictLabel, selectedWords(now.values[strictField]), selectedWords(e.values[strictField]))
	for i, list := range [][2][]string{{now.types, e.types}, {now.excluded, e.excluded}, {now.namespaces, e.namespaces}} {
		add(choiceLabels()[i], strings.Join(slices.Sorted(slices.Values(list[0])), ", "), strings.Join(slices.Sorted(slices.Values(list[1])), ", "))
	}
	f.Changed = v
}

// selectedWords describes a checkbox.
func selectedWords(value string) string {
	if value == checked {
		return "selected"
	}
	return "not selected"
}

// headerWords describes headers without their values.
func headerWords(list []headerEntry) string {
	var out []string
	for i := range list {
		text := list[i].Name
		if !list[i].Active {
			text += " (not active)"
		}
		if list[i].value != "" {
			text += " (with a new value)"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// warn says what the destination gets.
func (f *streamForm) warn(place *place, filtered bool) {
	what := fmt.Sprintf("all audit event data of %s", place.of())
	if filtered {
		what = "all events that match"
	}
	f.Warning = "This destination receives " + what + ", which can include sensitive information. Make sure that you trust it."
}

// of names the place within a sentence.
func (p *place) of() string {
	if p.Namespace == sluice.Instance {
		return "this installation"
	}
	return p.Name
}
