package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/deliver"
)

// streamID reads the id in the path. What is no id names nothing.
func (c *call) streamID() (sluice.StreamID, error) {
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, sluice.Errorf(sluice.NotFound, "there is no such stream").WithHint("ids are whole numbers; list the streams to find them")
	}
	return sluice.StreamID(id), nil
}

// query reads the query, in which only known names may stand, once each.
func (c *call) query(known ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, sluice.Errorf(sluice.Invalid, "the query cannot be read")
	}
	for name, values := range q {
		if !contains(known, name) {
			return nil, unknownParameter(name, known)
		}
		if len(values) > 1 {
			return nil, sluice.Errorf(sluice.Invalid, "the query parameter %q is there twice", name)
		}
	}
	return q, nil
}

func unknownParameter(name string, known []string) error {
	e := sluice.Errorf(sluice.Invalid, "there is no query parameter %q", shorten(name))
	if len(known) == 0 {
		return e.WithHint("this path has none")
	}
	return e.WithHint("the query parameters are %s", strings.Join(known, ", "))
}

func (a *API) listStreams(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace")
	if err != nil {
		return answer{}, err
	}
	var namespace *string
	if q.Has("namespace") {
		ns := q.Get("namespace")
		namespace = &ns
	}
	list, err := a.service.Streams(ctx, c.by, namespace)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"streams": list})
}

func (a *API) createStream(ctx context.Context, c *call) (answer, error) {
	var spec control.StreamSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	s, err := a.service.CreateStream(ctx, c.by, spec)
	return answer{http.StatusCreated, s}, err
}

func (a *API) checkDraft(ctx context.Context, c *call) (answer, error) {
	var spec control.StreamSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	out, err := a.service.CheckDraft(ctx, c.by, spec)
	return answer{http.StatusOK, out}, err
}

func (a *API) previewStream(ctx context.Context, c *call) (answer, error) {
	var spec control.StreamSpec
	if err := decode(c.Request, &spec); err != nil {
		return answer{}, err
	}
	out, err := a.service.PreviewStream(ctx, c.by, spec)
	return answer{http.StatusOK, out}, err
}

func (a *API) getStream(ctx context.Context, c *call) (answer, error) {
	return withID(ctx, c, a.service.Stream)
}

func (a *API) pauseStream(ctx context.Context, c *call) (answer, error) {
	return withID(ctx, c, a.service.PauseStream)
}

func (a *API) resumeStream(ctx context.Context, c *call) (answer, error) {
	return withID(ctx, c, a.service.ResumeStream)
}

func (a *API) retryStream(ctx context.Context, c *call) (answer, error) {
	return withID(ctx, c, a.service.RetryStream)
}

func (a *API) checkStream(ctx context.Context, c *call) (answer, error) {
	if c.ContentLength == 0 {
		return withID(ctx, c, a.service.CheckStream)
	}
	var patch control.StreamPatch
	if err := decode(c.Request, &patch); err != nil {
		return answer{}, err
	}
	return withID(ctx, c, func(ctx context.Context, p control.Principal, id sluice.StreamID) (control.Check, error) {
		return a.service.CheckChange(ctx, p, id, patch)
	})
}

func (a *API) deleteStream(ctx context.Context, c *call) (answer, error) {
	return withID(ctx, c, a.service.DeleteStream)
}

// withID answers with what do makes of the stream in the path.
func withID[T any](ctx context.Context, c *call, do func(context.Context, control.Principal, sluice.StreamID) (T, error)) (answer, error) {
	id, err := c.streamID()
	if err != nil {
		return answer{}, err
	}
	out, err := do(ctx, c.by, id)
	return answer{http.StatusOK, out}, err
}

func (a *API) updateStream(ctx context.Context, c *call) (answer, error) {
	id, err := c.streamID()
	if err != nil {
		return answer{}, err
	}
	var patch control.StreamPatch
	if err := decode(c.Request, &patch); err != nil {
		return answer{}, err
	}
	s, err := a.service.UpdateStream(ctx, c.by, id, patch)
	return answer{http.StatusOK, s}, err
}

func (a *API) listQuarantine(ctx context.Context, c *call) (answer, error) {
	id, err := c.streamID()
	if err != nil {
		return answer{}, err
	}
	q, err := c.query("limit")
	if err != nil {
		return answer{}, err
	}
	limit := 0
	if q.Has("limit") {
		if limit, err = strconv.Atoi(q.Get("limit")); err != nil || limit == 0 {
			limit = -1 // which is refused with the limits
		}
	}
	list, err := a.service.Quarantine(ctx, c.by, id, limit)
	if err != nil {
		return answer{}, err
	}
	if list == nil {
		list = []deliver.Quarantined{}
	}
	return ok(map[string]any{"events": list})
}

// choice names quarantined events: those listed, or all, or all up to some. An
// empty list is an error rather than all of them, and so is null, as which some
// programs write one.
type choice struct {
	All    *bool   `json:"all"`
	Events keyList `json:"events"`
	UpTo   keyList `json:"up_to"`
}

// keyList is a list that may be missing.
type keyList struct {
	sent bool
	keys []deliver.QuarantineKey
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *keyList) UnmarshalJSON(text []byte) error {
	l.sent = true
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(&l.keys)
}

func (a *API) redeliver(ctx context.Context, c *call) (answer, error) {
	return chosen(ctx, c, a.service.Redeliver)
}

func (a *API) drop(ctx context.Context, c *call) (answer, error) {
	return chosen(ctx, c, a.service.Drop)
}

func chosen(ctx context.Context, c *call, do func(context.Context, control.Principal, sluice.StreamID, control.QuarantineChoice) (int, error)) (answer, error) {
	id, err := c.streamID()
	if err != nil {
		return answer{}, err
	}
	var which choice
	if err := decode(c.Request, &which); err != nil {
		return answer{}, err
	}
	means := control.QuarantineChoice{Events: which.Events.keys, UpTo: which.UpTo.keys}
	named, bound, all := which.Events.sent, which.UpTo.sent, which.All != nil && *which.All
	if named && (all || bound || len(means.Events) == 0) || which.All != nil && !all && !named || bound && len(means.UpTo) == 0 {
		return answer{}, sluice.Errorf(sluice.Invalid, "it is not clear which events are meant").
			WithHint(`send {"events":[{"partition":"audit","seq":1}]} for some, {} or {"all":true} for all, with up_to for those that were there with these cursors`)
	}
	n, err := do(ctx, c.by, id, means)
	return answer{http.StatusOK, map[string]int{"count": n}}, err
}
