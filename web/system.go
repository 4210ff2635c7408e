package web

import (
	"context"
	"runtime"
	"time"

	"github.com/sluicelog/sluice/control"
)

const titleSystem = "System"

// systemRoutes is the table of the pages about the server itself.
func (s *Site) systemRoutes() map[string]placeRoute {
	return map[string]placeRoute{"system": {get: atInstance(s.systemPage)}}
}

// systemData is the data of the page about the server.
type systemData struct {
	Now       time.Time
	Alarms    []alarm
	Ingest    []row
	Hours     graph
	Latency   []row
	Commits   graph
	Disk      []row
	Classes   []classRow
	Indexes   []indexRow
	Statuses  []row
	Attention []attention
	Others    int // streams that need attention beyond those
	Keys      control.SealingKeys
	Versions  []row
}

// row is a figure with its name.
type row struct{ Label, Value, Hint string }

// alarm is what an administrator has to look after now.
type alarm struct{ Text, Hint string }

func (s *Site) systemPage(ctx context.Context, v *visit, p *place) (answer, error) {
	if err := control.Operator(v.by); err != nil {
		return answer{}, err
	}
	hours, err := s.service.Counts(ctx, v.by, control.CountQuery{Hours: graphHours})
	if err != nil {
		return answer{}, err
	}
	now := time.Now()
	data := &systemData{Now: now, Versions: []row{
		{"Sluice", s.version, ""}, {"Go", runtime.Version(), ""}, {"System", runtime.GOOS + "/" + runtime.GOARCH, ""},
	}}
	if data.Keys, err = s.service.SealingKeys(ctx, v.by); err != nil {
		return answer{}, err
	}
	s.ingestFigures(data, hours)
	s.diskFigures(ctx, data, hours)
	s.indexFigures(ctx, data)
	if err := s.streamFigures(ctx, v, data); err != nil {
		return answer{}, err
	}
	s.alarms(data)
	return show("system", p.Title(titleSystem), data), nil
}

// alarms adds what stops something, or will.
func (s *Site) alarms(data *systemData) {
	add := func(is bool, text, hint string) {
		if is {
			data.Alarms = append(data.Alarms, alarm{text, hint})
		}
	}
	space := s.service.Space()
	add(space.Low, "The disk is full: producers are refused.", "Free space, or shorten the retention; events are taken again by themselves.")
	if err := s.service.Ready(); err != nil && !space.Low {
		add(true, "The server takes no events now.", "Its log has the cause.")
	}
	add(s.service.RetentionStopped(), "Retention has stopped, because the clock was set forward.", "It goes on when the clock is set back; if the clock is right now, restart the server.")
	add(s.service.RetentionWaits() && !s.service.RetentionStopped(), "Retention by age waits: the clock is far ahead of the time at which the server last ran.",
		"If the clock is right there is nothing to do: retention goes on an hour after the start. If it is wrong, set it right before.")
	add(data.Keys.Pending > 0, plural(uint64(data.Keys.Pending), "secret", "secrets")+" of streams to be sealed with the current key.", "They are sealed anew while the server runs; “sluice secrets status” shows what is left.")
	for _, k := range data.Keys.Keys {
		add(!k.InFile, plural(uint64(k.Values), "secret", "secrets")+" cannot be read: the key file lacks the sealing key "+k.ID+".", "Put the key back into the file, or enter those secrets anew.")
	}
}

// classWord is what the pages call one event of a class.
func classWord(class string) string {
	if class == "git" {
		return "Git event"
	}
	return "audit event"
}

// className is what the pages call a class of events.
func className(class string) string {
	if class == "git" {
		return "Git events"
	}
	return "Audit events"
}
