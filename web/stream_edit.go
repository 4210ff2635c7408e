package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// What the buttons of the form of a stream ask for.
const (
	doField        = "do"
	doSave         = "save"
	doCheck        = "check"
	doAddHeader    = "add-header"
	doDeleteHeader = "delete-header:" // and the key of the row
	doSearch       = "search:"        // and the name of the list of choices
	doCount        = "count"
	doEnter        = "enter" // see [entry.asked]
)

// changeStream does what the form of a stream asks for.
func (s *Site) changeStream(ctx context.Context, v *visit, p *place) (answer, error) {
	if err := control.ChangesStreams(v.by, p.Namespace); err != nil {
		return answer{}, err
	}
	st, err := s.streamOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	kinds, err := s.kindsFor(ctx, v)
	if err != nil {
		return answer{}, err
	}
	kind := kindOf(kinds, st.Kind)
	draft := v.PostForm.Get("draft")
	e := postedEntry(v.PostForm, kind, &st, s.held.get(s.holder(v), draft))
	do := e.asked(v.PostForm.Get(doField), doSave)
	out := outcome{do: do}
	switch {
	case s.held.lost(s.holder(v), draft):
		e.edit(do)
		out.lost = true
		return s.streamAgain(ctx, v, p, &st, kind, e, out, errLost())
	case do == doCount:
		err = s.count(ctx, v, p, e, &out)
		return s.streamAgain(ctx, v, p, &st, kind, e, out, err)
	case e.edit(do):
		return s.streamAgain(ctx, v, p, &st, kind, e, out, nil)
	}
	patch, err := e.patch(&st, kind)
	switch {
	case err != nil:
	case do == doSave && e.version != st.Version && e.isStored(&st, kind): // sent twice, or by two who agree
		return redirectWith(v.URL.EscapedPath(), "stream_saved"), nil
	case e.version != st.Version:
		err = errChanged()
	case do == doCheck:
		out.check, err = pointer(s.service.CheckChange(ctx, v.by, st.ID, patch))
	default:
		if _, err = s.service.UpdateStream(ctx, v.by, st.ID, patch); err == nil {
			s.held.drop(s.holder(v), draft)
			return redirectWith(v.URL.EscapedPath(), "stream_saved"), nil
		}
	}
	return s.streamAgain(ctx, v, p, &st, kind, e, out, err)
}

// outcome is what a form was sent for, besides saving it.
type outcome struct {
	do      string         // what it was sent for
	check   *control.Check // nil for none
	matched string         // see [streamForm]
	lost    bool           // see [held.lost]
}

// pointer returns a pointer to what there is without an error.
func pointer[T any](v T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// count counts how many events of the last days match the filter of a form.
func (s *Site) count(ctx context.Context, v *visit, p *place, e *entry, out *outcome) error {
	n, err := s.service.PreviewStream(ctx, v.by, control.StreamSpec{Namespace: p.Namespace, Filter: e.filter()})
	if err == nil {
		out.matched = count(n.Delivered) + " of " + plural(n.Delivered+n.Filtered, "event", "events") + " of the last 7 days match."
	}
	return err
}

func errChanged() *sluice.Error {
	return sluice.Errorf(sluice.Conflict, "somebody else changed the stream meanwhile, so nothing was saved")
}

// errLost says that a form does not have any more what it was shown with: to do it
// without would be taken for having done it with that.
func errLost() *sluice.Error {
	return sluice.Errorf(sluice.Conflict, "secrets or header values that you entered before are no longer kept, so nothing was done").
		WithHint("they are kept for half an hour, while you are signed in and the server runs: enter them again below")
}

// asked returns what a form was sent for. The key Enter sends doEnter, from
// whichever field, and from a search, too: where something is searched for, that is
// meant, and else what enter says. With scripts this does not arise.
func (e *entry) asked(do, enter string) string {
	if do != doEnter {
		return do
	}
	for _, name := range choiceNames() {
		if e.searches[name] != e.searched[name] {
			return doSearch + name
		}
	}
	for _, name := range choiceNames() {
		if e.searches[name] != "" {
			return doSearch + name
		}
	}
	return enter
}

// edit does what concerns the form alone and reports whether that was asked for.
func (e *entry) edit(do string) bool {
	key, remove := strings.CutPrefix(do, doDeleteHeader)
	switch {
	case remove:
		e.deleteHeader(key)
	case do == doAddHeader:
		e.addHeader()
	default:
		return strings.HasPrefix(do, doSearch)
	}
	return true
}

// streamAgain shows the form of a stream again, as it was entered, with the
// outcome or the reason why it was not done.
func (s *Site) streamAgain(ctx context.Context, v *visit, p *place, st *control.Stream, kind *control.KindForm, e *entry, done outcome, cause error) (answer, error) {
	status := http.StatusOK
	if cause != nil {
		newest, err := s.streamOf(ctx, v, p)
		if err != nil {
			return answer{}, err
		}
		// What else was changed is told when all is entered again.
		if st = &newest; e.version != st.Version && !done.lost {
			cause, status = errChanged(), http.StatusConflict
		}
	}
	f := s.formOfStream(e, st, kind, p)
	if status == http.StatusConflict {
		f.compare(e, storedEntry(st, kind), kind, f.Action)
		f.Version = st.Version // to save it again is to decide
	}
	if err := s.complete(ctx, v, p, f, e, done); err != nil {
		return answer{}, err
	}
	if cause != nil {
		var err error
		if status, err = f.fail(cause, e, status); err != nil {
			return answer{}, err
		}
	}
	out, err := s.streamsWith(ctx, v, p, st.ID, f)
	out.status = status
	return out, err
}

// fail shows why a form was not done and returns the status of the page. Errors
// that no other entry would change are returned.
func (f *streamForm) fail(cause error, e *entry, status int) (int, error) {
	why, ok := errors.AsType[*sluice.Error](cause)
	if !ok {
		return 0, cause
	}
	switch {
	case status == http.StatusConflict:
		f.Problem = &formProblem{Message: sentence(why.Message), Hint: "Below is what is stored now beside what you entered. Save again to have what you entered."}
		return status, nil
	case why.Code == sluice.Forbidden || why.Code == sluice.NotFound:
		return 0, cause
	case why.Code == sluice.RateLimited || why.Code == sluice.Busy || why.Code == sluice.NoSpace || why.Code == sluice.Internal:
		status, _ = statusOf(why.Code)
	default:
		status = http.StatusUnprocessableEntity
	}
	f.refuse(why, e.sent())
	if status == http.StatusUnprocessableEntity {
		f.markFaults()
	}
	return status, nil
}

// complete adds to a form what every form has that comes back.
func (s *Site) complete(ctx context.Context, v *visit, p *place, f *streamForm, e *entry, done outcome) error {
	f.Draft = s.held.keep(s.holder(v), v.PostForm.Get("draft"), e.toHold())
	f.Check, f.Matched = done.check, done.matched
	offers, err := s.offersOf(ctx, v, p, e)
	if err != nil {
		return err
	}
	f.choose(e, offers)
	f.focus(done.do)
	return nil
}
