package web

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/web/label"
)

const (
	streamsTab   = "log-streaming"
	streamScript = "stream.js"
	// maxUnfolded is how many streams a page has whole; with more it has the rows
	// of all, and what is below one of them.
	maxUnfolded = 8
)

// streamsData is the data of the tab.
type streamsData struct {
	Place *place
	Of    string // the place within a sentence
	Rows  []streamRow
}

// streamRow is a stream in the list.
type streamRow struct {
	*control.Stream
	Title, Address, KindTitle string
	State                     statusView
	Filtered                  bool
	Lag                       string
	Spark                     sparkline
	Bar                       ledgerView
	Owner                     bool
	Open                      bool
	Whole                     bool        // what is below the row is in the page
	Form                      *streamForm // nil for those who may not change it
	Facts                     []fact      // for those
}

// fact is one line about a stream.
type fact struct{ Label, Value string }

func (s *Site) streamsPage(ctx context.Context, v *visit, p *place) (answer, error) {
	return s.streamsWith(ctx, v, p, 0, nil)
}

// streamPage shows the tab with one stream unfolded.
func (s *Site) streamPage(ctx context.Context, v *visit, p *place) (answer, error) {
	st, err := s.streamOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return s.streamsWith(ctx, v, p, st.ID, nil)
}

// streamOf returns the stream of the place that the path names.
func (s *Site) streamOf(ctx context.Context, v *visit, p *place) (control.Stream, error) {
	id, err := strconv.ParseInt(v.PathValue("stream"), 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != v.PathValue("stream") {
		return control.Stream{}, errNotFound()
	}
	st, err := s.service.Stream(ctx, v.by, sluice.StreamID(id))
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound {
		err = errNotFound()
	}
	if err == nil && sluice.FoldNamespace(st.Namespace) != sluice.FoldNamespace(p.Namespace) {
		err = errNotFound()
	}
	return st, err
}

// streamsWith shows the tab with the stream open unfolded, 0 for none, and with
// the form of that one, nil for what is stored.
func (s *Site) streamsWith(ctx context.Context, v *visit, p *place, open sluice.StreamID, form *streamForm) (answer, error) {
	list, err := s.service.Streams(ctx, v.by, &p.Namespace)
	if err != nil {
		return answer{}, err
	}
	kinds, err := s.kindsFor(ctx, v)
	if err != nil {
		return answer{}, err
	}
	data := streamsData{Place: p, Of: p.of()}
	for i := range list {
		st := &list[i]
		row, err := s.rowOfStream(ctx, v, p, st, kindOf(kinds, st.Kind))
		if err != nil {
			return answer{}, err
		}
		row.Open = st.ID == open || len(list) == 1
		row.Whole = st.ID == open || len(list) <= maxUnfolded
		if st.ID == open {
			row.Form = form
		}
		data.Rows = append(data.Rows, row)
	}
	if err := s.unfold(ctx, v, p, &data, kinds); err != nil {
		return answer{}, err
	}
	out := show("streams", p.Title(label.English().LogStreaming), data)
	out.script = streamScript
	return out, nil
}

func (s *Site) rowOfStream(ctx context.Context, v *visit, p *place, st *control.Stream, kind *control.KindForm) (streamRow, error) {
	row := streamRow{
		Stream: st, Title: titleOf(st), Address: p.Root + "/" + streamsTab + "/" + strconv.FormatInt(int64(st.ID), 10), KindTitle: kind.Title,
		State: statusWords(st), Filtered: !st.Filter.Empty(), Lag: lagWords(&st.Health), Bar: ledgerOf(&st.Ledger), Owner: p.Owner,
	}
	hours, err := s.service.LastDay(ctx, v.by, st.ID)
	row.Spark = sparkOf(hours[:])
	return row, err
}

// unfold adds what is below the rows that are whole.
func (s *Site) unfold(ctx context.Context, v *visit, p *place, data *streamsData, kinds []control.KindForm) error {
	var offers *offers
	for i := range data.Rows {
		row := &data.Rows[i]
		kind := kindOf(kinds, row.Kind)
		switch {
		case !row.Whole || row.Form != nil:
		case !p.Owner:
			row.Facts = append(factsOf(row.Stream, kind), timeFacts(row.Stream, true)...)
		default:
			e := storedEntry(row.Stream, kind)
			if offers == nil {
				var err error
				if offers, err = s.offersOf(ctx, v, p, e); err != nil {
					return err
				}
			}
			row.Form = s.formOfStream(e, row.Stream, kind, p)
			row.Form.choose(e, offers)
		}
		if row.Form != nil {
			reserved, err := s.reservedFacts(ctx, v, row.Stream)
			if err != nil {
				return err
			}
			row.Form.Facts = append(reserved, timeFacts(row.Stream, false)...)
		}
	}
	return nil
}

// formOfStream makes the form of a stream that is there.
func (s *Site) formOfStream(e *entry, st *control.Stream, kind *control.KindForm, p *place) *streamForm {
	id := strconv.FormatInt(int64(st.ID), 10)
	f := e.formOf(kind, "s"+id+"-", st)
	f.Action = p.Root + "/" + streamsTab + "/" + id
	filter := e.filter()
	f.warn(p, !filter.Empty())
	return f
}

// kindsFor describes the kinds with what the visitor may set in forms.
func (s *Site) kindsFor(ctx context.Context, v *visit) ([]control.KindForm, error) {
	kinds, err := s.service.KindForms(ctx, v.by)
	if err != nil {
		return nil, err
	}
	for i := range kinds {
		var inputs []destination.Input
		for _, in := range kinds[i].Inputs {
			if !in.Fixed && (!in.Administrators || v.me.Administrator) {
				inputs = append(inputs, in)
			}
		}
		kinds[i].Inputs = inputs
	}
	return kinds, nil
}

// reservedFacts tells what administrators have set of a stream, to others.
func (s *Site) reservedFacts(ctx context.Context, v *visit, st *control.Stream) ([]fact, error) {
	kinds, err := s.service.KindForms(ctx, v.by)
	if err != nil || v.me.Administrator {
		return nil, err
	}
	var out []fact
	members := membersOf(st.Config)
	for _, in := range kindOf(kinds, st.Kind).Inputs {
		if value := fieldText(members[strings.TrimPrefix(in.Name, configPrefix)]); in.Administrators && value != "" {
			out = append(out, fact{in.Label, value + ", set by an administrator"})
		}
	}
	return out, nil
}

// kindOf returns the kind with a name, one without fields when this server has it
// not.
func kindOf(kinds []control.KindForm, name string) *control.KindForm {
	for i := range kinds {
		if kinds[i].Name == name {
			return &kinds[i]
		}
	}
	return &control.KindForm{Name: name, Form: destination.Form{Title: name}}
}

// factsOf tells those who may not change a stream what it is.
func factsOf(st *control.Stream, kind *control.KindForm) []fact {
	e := storedEntry(st, kind)
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	for _, in := range kind.Inputs {
		switch {
		case in.Secret:
			add(in.Label, st.Secrets[strings.TrimPrefix(in.Name, secretsPrefix)])
		case in.Type == destination.InputCheckbox:
			add(in.Label, map[bool]string{true: "yes", false: "no"}[e.values[in.Name] == checked])
		case in.Type == destination.InputList:
			add(in.Label, headerWords(e.headers))
		default:
			value := e.values[in.Name]
			for _, o := range in.Options {
				if o.Value == value {
					value = o.Label
				}
			}
			add(in.Label, value)
		}
	}
	for i, list := range [][]string{e.types, e.excluded, e.namespaces} {
		add(choiceLabels()[i], strings.Join(list, ", "))
	}
	return out
}
