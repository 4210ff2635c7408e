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
	e := postedEntry(v.PostForm, kind, &st, s.held.get(s.sessionKey(v.Request), draft))
	do := v.PostForm.Get(doField)
	if e.edit(do) {
		return s.streamAgain(ctx, v, p, &st, kind, e, nil, nil)
	}
	var check *control.Check
	patch, err := e.patch(&st, kind)
	switch {
	case err != nil:
	case do == doSave && e.version != st.Version && e.isStored(&st, kind): // sent twice, or by two who agree
		return redirectWith(v.URL.EscapedPath(), "stream_saved"), nil
	case e.version != st.Version:
		err = errChanged()
	case do == doCheck:
		var out control.Check
		if out, err = s.service.CheckChange(ctx, v.by, st.ID, patch); err == nil {
			check = &out
		}
	default:
		if _, err = s.service.UpdateStream(ctx, v.by, st.ID, patch); err == nil {
			s.held.drop(s.sessionKey(v.Request), draft)
			return redirectWith(v.URL.EscapedPath(), "stream_saved"), nil
		}
	}
	return s.streamAgain(ctx, v, p, &st, kind, e, check, err)
}

func errChanged() *sluice.Error {
	return sluice.Errorf(sluice.Conflict, "somebody else changed the stream meanwhile, so nothing was saved")
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
		return false
	}
	return true
}

// streamAgain shows the form of a stream again, as it was entered, with the
// outcome of a check or the reason why it was not done.
func (s *Site) streamAgain(ctx context.Context, v *visit, p *place, st *control.Stream, kind *control.KindForm, e *entry, check *control.Check, cause error) (answer, error) {
	status := http.StatusOK
	if cause != nil {
		newest, err := s.streamOf(ctx, v, p)
		if err != nil {
			return answer{}, err
		}
		if st = &newest; e.version != st.Version {
			cause, status = errChanged(), http.StatusConflict
		}
	}
	f := s.formOfStream(e, st, kind, p)
	if status == http.StatusConflict {
		f.compare(e, storedEntry(st, kind), kind, f.Action)
		f.Version = st.Version // to save it again is to decide
	}
	if err := s.complete(ctx, v, p, f, e, check); err != nil {
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
	told, ok := errors.AsType[*sluice.Error](cause)
	if !ok {
		return 0, cause
	}
	switch {
	case status == http.StatusConflict:
		f.Problem = &formProblem{Message: sentence(told.Message), Hint: "Below is what is stored now beside what you entered. Save again to have what you entered."}
		return status, nil
	case told.Code == sluice.Forbidden || told.Code == sluice.NotFound:
		return 0, cause
	case told.Code == sluice.RateLimited || told.Code == sluice.Busy || told.Code == sluice.NoSpace || told.Code == sluice.Internal:
		status, _ = statusOf(told.Code)
	default:
		status = http.StatusUnprocessableEntity
	}
	f.refuse(told, e.sent())
	return status, nil
}

// complete adds to a form what every form has that comes back.
func (s *Site) complete(ctx context.Context, v *visit, p *place, f *streamForm, e *entry, check *control.Check) error {
	f.Draft = s.held.keep(s.sessionKey(v.Request), v.PostForm.Get("draft"), e.toHold())
	f.Check = check
	f.focus(v.PostForm.Get(doField))
	counts, err := s.tallyOf(ctx, v, p)
	if err != nil {
		return err
	}
	f.choose(e, counts)
	return s.preview(ctx, v, p, f, e.filter())
}
