package web

import (
	"context"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

// eventData is the data of the page of one event.
type eventData struct {
	Place    *place
	Row      eventRow
	ID       string
	Class    string
	Number   string // among the events of its class
	Accepted time.Time
	Around   string // address of the log at that time
	Download string // address of all of it
	Link     string // the page's own address, with the server's
	Newer    *eventRow
	Older    *eventRow
}

// around is how long before and after an event others are near it.
const around = 5 * time.Minute

func (s *Site) eventPage(ctx context.Context, v *visit, p *place) (answer, error) {
	e, err := s.eventOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	row := readEvent(p.Root, logQuery{Days: fewDays}, &e, pageJSON)
	row.Source = s.sourceName(v, e.Source)
	data := eventData{Place: p, Row: row, ID: eventID(&e), Class: "Audit event", Number: count(e.Seq), Accepted: e.AcceptedAt, Link: s.origin(v.Request) + row.Address}
	if e.Partition == string(sluice.Git) {
		data.Class = "Git event"
	}
	data.Around = nearby(p.Root, row.At)
	data.Download = row.Address + "/download"
	if data.Newer, err = s.nextEvent(ctx, v, p, &e, control.OldestFirst); err == nil {
		data.Older, err = s.nextEvent(ctx, v, p, &e, control.NewestFirst)
	}
	return show("log_event", p.Title(label.English().AuditLog), data), err
}

// eventOf returns the event that the address names. One that the visitor may not
// see is not there.
func (s *Site) eventOf(ctx context.Context, v *visit, p *place) (control.FoundEvent, error) {
	partition, seq, ok := parseEventName(v.PathValue("event"))
	if !ok {
		return control.FoundEvent{}, errNotFound()
	}
	e, err := s.service.EventAt(ctx, v.by, p.Namespace, partition, seq)
	if codeOf(err) == sluice.NotFound {
		err = errNotFound()
	}
	return e, err
}

// downloadEvent sends an event as it was accepted.
func (s *Site) downloadEvent(ctx context.Context, v *visit, p *place) (answer, error) {
	e, err := s.eventOf(ctx, v, p)
	return answer{file: &file{"event-" + eventName(&e) + ".json", e.Event}}, err
}

// nextEvent returns what was accepted next to an event of the same class, in an
// order; nil when there is nothing.
func (s *Site) nextEvent(ctx context.Context, v *visit, p *place, e *control.FoundEvent, order string) (*eventRow, error) {
	found, err := s.service.Events(ctx, v.by, control.EventQuery{Namespace: p.Namespace, Class: e.Partition, Order: order, Behind: e.Seq, Limit: 1})
	if err != nil || len(found.Events) == 0 {
		return nil, err
	}
	row := readEvent(p.Root, logQuery{Days: fewDays}, &found.Events[0], 0)
	return &row, nil
}

// eventID returns an event's id as it stands in its JSON.
func eventID(e *control.FoundEvent) string {
	var scanner sluice.Scanner
	scanner.MaxEvent = max(len(e.Event), 1)
	_, env, _, err := scanner.Scan(nil, e.Event)
	if err != nil {
		return ""
	}
	return string(env.ID)
}

// nearby is the address of the log around a time.
func nearby(root string, at time.Time) string {
	const format = "2006-01-02T15:04:05Z"
	q := logQuery{Days: fewDays, Phrase: "created:" + at.Add(-around).UTC().Format(format) + ".." + at.Add(around).UTC().Format(format)}
	return q.address(root)
}
