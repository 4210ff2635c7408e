package web

import (
	"context"
	"net/http"
	"strconv"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

// newStreamData is the data of the page for a new stream.
type newStreamData struct {
	Place *place
	Of    string
	Kinds []control.KindForm // to choose from
	Form  *streamForm        // nil as long as nothing is chosen
	Notes []string
}

// newStreamPage shows the form of the kind that the address names, or the choice.
func (s *Site) newStreamPage(ctx context.Context, v *visit, p *place) (answer, error) {
	kind, data, err := s.newStreamData(ctx, v, p)
	if err != nil || kind == nil {
		return show("stream_new", p.Title(label.English().ConfigureStream), data), err
	}
	e := newEntry(kind)
	return s.newStreamAgain(ctx, v, p, data, kind, e, outcome{}, nil)
}

// newStreamData returns what all answers show, and the kind that the address
// names; nil for none.
func (s *Site) newStreamData(ctx context.Context, v *visit, p *place) (*control.KindForm, *newStreamData, error) {
	if err := control.ChangesStreams(v.by, p.Namespace); err != nil {
		return nil, nil, err
	}
	kinds, err := s.kindsFor(ctx, v)
	if err != nil {
		return nil, nil, err
	}
	data := &newStreamData{Place: p, Of: p.of(), Kinds: kinds}
	name := v.URL.Query().Get("kind")
	if name == "" {
		return nil, data, nil
	}
	for i := range kinds {
		if kinds[i].Name == name {
			data.Notes = kinds[i].Notes
			return &kinds[i], data, nil
		}
	}
	return nil, nil, errNotFound()
}

// createStream does what the form of a new stream asks for.
func (s *Site) createStream(ctx context.Context, v *visit, p *place) (answer, error) {
	kind, data, err := s.newStreamData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	if kind == nil {
		return answer{}, errNotFound()
	}
	by, draft, number := s.holder(v), v.PostForm.Get("draft"), v.PostForm.Get("once")
	e := postedEntry(v.PostForm, kind, nil, s.held.get(by, draft))
	do := e.asked(v.PostForm.Get(doField), doCheck)
	out := outcome{do: do}
	switch {
	case s.held.lost(by, draft):
		e.edit(do)
		return s.newStreamAgain(ctx, v, p, data, kind, e, out, errLost())
	case do == doCount:
		err = s.count(ctx, v, p, e, &out)
		return s.newStreamAgain(ctx, v, p, data, kind, e, out, err)
	case e.edit(do):
		return s.newStreamAgain(ctx, v, p, data, kind, e, out, nil)
	}
	spec, err := e.spec(p.Namespace, kind)
	if err == nil && do == doCheck {
		out.check, err = pointer(s.service.CheckDraft(ctx, v.by, spec))
	}
	if err != nil || do == doCheck {
		return s.newStreamAgain(ctx, v, p, data, kind, e, out, err)
	}
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(p.Root+"/"+streamsTab, "stream_repeated"), nil
	}
	st, err := s.service.CreateStream(ctx, v.by, spec)
	if err != nil {
		s.forms.forget(v.me.ID, number)
		return s.newStreamAgain(ctx, v, p, data, kind, e, out, err)
	}
	s.held.drop(by, draft)
	return redirectWith(p.Root+"/"+streamsTab+"/"+strconv.FormatInt(int64(st.ID), 10), "stream_created"), nil
}

// newStreamAgain shows the form as it was entered, with the outcome or the reason
// why it was not done.
func (s *Site) newStreamAgain(ctx context.Context, v *visit, p *place, data *newStreamData, kind *control.KindForm, e *entry, done outcome, cause error) (answer, error) {
	f := e.formOf(kind, "new-", nil)
	f.Action = p.Root + "/" + streamsTab + "/new?kind=" + kind.Name
	if f.Once = v.PostForm.Get("once"); f.Once == "" {
		f.Once = s.forms.number()
	}
	filter := e.filter()
	f.warn(p, !filter.Empty())
	info, err := s.service.Info(ctx, v.by)
	if err != nil {
		return answer{}, err
	}
	f.Egress = info.EgressAddresses
	if err := s.complete(ctx, v, p, f, e, done); err != nil {
		return answer{}, err
	}
	data.Form = f
	out := show("stream_new", p.Title(label.English().ConfigureStream), data)
	out.script = streamScript
	if cause != nil {
		out.status, err = f.fail(cause, e, http.StatusOK)
	}
	return out, err
}
