package web

import (
	"context"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// How browsers send a day and a time: without seconds that are zero.
const (
	minuteFormat = "2006-01-02T15:04"
	secondFormat = "2006-01-02T15:04:05"
)

// replayData is the data of the page that sends recorded events again.
type replayData struct {
	Place        *place
	Head         streamHead
	Name         string
	Start, Until string // as fields have them, in UTC
	Now          string
	Counted      *control.StreamCount
	Once         string
	Problem      *formProblem
}

func (s *Site) replayPage(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.replayData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	now := time.Now().UTC()
	data.Start = now.Add(-24 * time.Hour).Format(minuteFormat)
	data.Name = "Replay of " + plain(data.Head.Title, 40) + ", " + now.Format("2 Jan 15:04")
	return show("replay", p.Title("Replay"), data), nil
}

func (s *Site) replayData(ctx context.Context, v *visit, p *place) (*replayData, error) {
	if err := control.ChangesStreams(v.by, p.Namespace); err != nil {
		return nil, err
	}
	head, err := s.headOf(ctx, v, p)
	return &replayData{Place: p, Head: head, Now: time.Now().UTC().Format(secondFormat), Once: s.forms.number()}, err
}

// replay counts what a replay would send, or makes it: a new stream to the same
// destination, over a time that has passed.
func (s *Site) replay(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.replayData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	data.Name, data.Start, data.Until = strings.TrimSpace(v.PostForm.Get("name")), v.PostForm.Get("start"), v.PostForm.Get("until")
	spec, err := data.spec()
	if err == nil && v.PostForm.Get("do") == "start" {
		return s.startReplay(ctx, v, p, data, spec)
	}
	if err == nil {
		var n control.StreamCount
		if n, err = s.service.CountStream(ctx, v.by, spec); err == nil {
			data.Counted = &n
		}
	}
	if err != nil {
		return refuse("replay", p.Title("Replay"), data, &data.Problem, err)
	}
	return show("replay", p.Title("Replay"), data), nil
}

func (s *Site) startReplay(ctx context.Context, v *visit, p *place, data *replayData, spec control.StreamSpec) (answer, error) {
	number := v.PostForm.Get("once")
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(p.Root+"/"+streamsTab, "stream_repeated"), nil
	}
	made, err := s.service.CreateStream(ctx, v.by, spec)
	if err != nil {
		s.forms.forget(v.me.ID, number)
		return refuse("replay", p.Title("Replay"), data, &data.Problem, err)
	}
	return redirectWith(streamAddress(p.Namespace, made.ID), "stream_created"), nil
}

// spec reads the form.
func (d *replayData) spec() (control.StreamSpec, error) {
	spec := control.StreamSpec{CopyOf: d.Head.Stream.ID, Name: d.Name, Start: "earliest", Until: time.Now().UTC().Format(time.RFC3339Nano)}
	var err error
	if d.Start != "" {
		if spec.Start, err = timeOf("the start", d.Start); err != nil {
			return spec, err
		}
	}
	if d.Until != "" {
		spec.Until, err = timeOf("the end", d.Until)
	}
	return spec, err
}

// timeOf returns a time that a browser sent as the API has it.
func timeOf(what, text string) (string, error) {
	for _, format := range []string{minuteFormat, secondFormat} {
		if t, err := time.Parse(format, text); err == nil {
			return t.Format(time.RFC3339), nil
		}
	}
	return "", sluice.Errorf(sluice.Invalid, "%s has to be a day and a time", what).WithHint("for example 2026-01-31T12:00, in UTC")
}
