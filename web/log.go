package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

const (
	exportAddress = "/api/v1/events/export"
	liveAddress   = "/api/v1/events/live"
	logScript     = "log.js"
)

// logData is the data of the tab Log.
type logData struct {
	Place       *place
	Query       logQuery
	Problem     *formProblem
	Fault       *phraseFault // what is wrong with the phrase; nil for nothing
	StartAgain  string       // address without a cursor that is not good, or ""
	Presets     []link
	Suggestions []suggestion
	Authors     []string
	Types       typeChoices
	Chart       *chart // nil: it could not be made in time, or there is none
	Rows        []eventRow
	Newer       string // address of the page before in time, or ""
	Older       string
	Notes       []string // what may be missing
	Phrase      string   // all that is asked for, as a phrase
	Live        string   // address that tells of new events, or ""
	Blank       *eventRow
	Members     eventMembers
	NoIndex     bool // nothing can be found
	Start       *firstSteps
	quiet       bool // no event comes from elsewhere than Sluice itself
	first       bool // the reader went back to where the first page begins
}

// MembersText is Members as JSON, for the script.
func (d *logData) MembersText() (string, error) {
	b, err := json.Marshal(d.Members)
	return string(b), err
}

// phraseFault marks where a phrase is wrong.
type phraseFault struct {
	Column              int
	Message, Expected   string
	Before, At, Further string // the phrase, cut at the fault
}

func (s *Site) logPage(ctx context.Context, v *visit, p *place) (answer, error) {
	q := readLogQuery(v.URL.Query())
	data := &logData{Place: p, Query: q, Presets: presetLinks(p.Root, q), Phrase: q.narrow(), Members: membersOfEvents(), Suggestions: suggestions(&typeChoices{}, nil)}
	title := p.Title(label.English().AuditLog)
	err := control.CheckPhrase(q.Phrase)
	if err == nil {
		err = q.check()
	}
	if err == nil {
		err = s.findEvents(ctx, v, p, data)
	}
	if codeOf(err) == sluice.Unsupported {
		data.NoIndex = true
		return show("log", title, data), nil
	}
	if err != nil {
		return data.refuse(title, err)
	}
	if data.first {
		return redirect(q.with(p.Root, func(*logQuery) {})), nil
	}
	if data.quiet && !q.Narrowed() && q.fromStart() {
		data.Start = s.firstSteps(v, p)
	}
	out := show("log", title, data)
	out.script = logScript
	return out, nil
}

// refuse shows the form again, with what is wrong in it.
func (d *logData) refuse(title string, err error) (answer, error) {
	if fault, ok := errors.AsType[*control.PhraseError](err); ok && control.CheckPhrase(d.Query.Phrase) != nil {
		d.Fault = faultOf(d.Query.Phrase, fault)
	}
	if !d.Query.fromStart() && codeOf(err) == sluice.Invalid && d.Fault == nil {
		d.StartAgain = d.Query.with(d.Place.Root, func(*logQuery) {})
	}
	out, err := refuse("log", title, d, &d.Problem, err)
	if d.StartAgain != "" && err == nil {
		d.Problem = &formProblem{Message: "This page of the log cannot be shown: its address was changed, or belongs to another search or server.", Hint: "Begin again with the first page."}
	}
	return out, err
}

// faultOf cuts the phrase at the fault.
func faultOf(phrase string, e *control.PhraseError) *phraseFault {
	f := &phraseFault{Column: e.Column, Message: sentence(e.Message), Expected: sentence("expected: " + e.Expected)}
	runes := []rune(phrase)
	at := min(max(e.Column-1, 0), len(runes))
	end := at
	for end < len(runes) && runes[end] != ' ' {
		end++
	}
	f.Before, f.At, f.Further = string(runes[:at]), string(runes[at:end]), string(runes[end:])
	return f
}

// findEvents reads all that the page shows.
func (s *Site) findEvents(ctx context.Context, v *visit, p *place, data *logData) error {
	q := data.Query
	waiting, done := context.WithTimeoutCause(ctx, s.wait, errLater)
	defer done()
	found, err := s.service.Events(ctx, v.by, control.EventQuery{
		Namespace: p.Namespace, Phrase: data.Phrase, Class: q.Class, Order: q.Order, After: q.after, Before: q.before,
	})
	if err != nil {
		return err
	}
	data.quiet = !found.More
	for i := range found.Events {
		data.quiet = data.quiet && found.Events[i].Source == sluice.SourceSluice
		data.Rows = append(data.Rows, s.rowOf(v, p.Root, q, &found.Events[i]))
	}
	data.page(p.Root, &found)
	data.notes(&found)
	if err := s.countEvents(waiting, v, p, data); err != nil {
		return err
	}
	data.Suggestions, data.Authors = suggestions(&data.Types, data.Rows), authors(data.Rows)
	if q.fromStart() && q.Order == "" && q.To == "" {
		live := url.Values{"namespace": {p.Namespace}, "phrase": {data.Phrase}, "after": {found.Follow}}
		if q.Class != "" {
			live.Set("class", q.Class)
		}
		data.Live = liveAddress + "?" + live.Encode()
		data.Blank = &eventRow{Name: "new", Address: p.Root + "/audit-log", Actor: "Somebody", Words: "Something", Target: "something", Path: "somewhere", IP: "some address", At: time.Now(), JSON: "{}"}
	}
	return nil
}

// countEvents counts the events of the days and of the types, both at once. What
// cannot be counted in time is left out, what is still being counted is marked.
func (s *Site) countEvents(ctx context.Context, v *visit, p *place, data *logData) error {
	var wg sync.WaitGroup
	var days, types error
	wg.Go(func() { data.Chart, days = s.chartOf(ctx, v, p, data.Query) })
	wg.Go(func() { data.Types, types = s.typesOf(ctx, v, p, data.Query) })
	wg.Wait()
	for _, err := range []error{days, types} {
		if err != nil && codeOf(err) != sluice.Busy {
			return err
		}
	}
	if days != nil || types != nil {
		data.Notes = append(data.Notes, "Counting the events took too long: the chart or the types are left out. Ask for a shorter time to see them.")
	}
	return nil
}

// rowOf returns the row of an event.
func (s *Site) rowOf(v *visit, root string, q logQuery, e *control.FoundEvent) eventRow {
	row := readEvent(root, q, e, rowJSON)
	row.Source = s.sourceName(v, e.Source)
	return row
}

// sourceName names who sent an event, as far as the visitor may know.
func (s *Site) sourceName(v *visit, source string) string {
	if source == sluice.SourceSluice {
		return "Sluice"
	}
	if name, err := s.service.SourceName(v.by, source); err == nil && name != "" {
		return plain(name, rowName)
	}
	return "token " + source
}

// page makes the links to the pages before and after.
func (d *logData) page(root string, found *control.FoundEvents) {
	d.first = d.Query.before != "" && !found.More
	next, previous := "", ""
	if found.More || d.Query.before != "" {
		next = d.Query.with(root, func(q *logQuery) { q.after = found.Next })
	}
	if d.Query.after != "" || d.Query.before != "" && found.More {
		previous = d.Query.with(root, func(q *logQuery) { q.before = found.Previous })
	}
	d.Newer, d.Older = previous, next
	if d.Query.Order == control.OldestFirst {
		d.Newer, d.Older = next, previous
	}
}

// notes says what the page may lack.
func (d *logData) notes(found *control.FoundEvents) {
	const lag = 5 // seconds that nobody notices
	if found.LagSeconds > lag {
		d.Notes = append(d.Notes, "The newest events of the last "+(time.Duration(found.LagSeconds)*time.Second).String()+" are stored, and cannot be found yet.")
	}
	if found.Incomplete {
		d.Notes = append(d.Notes, "A part of the search index could not be read and is being made anew. Until then events may be left out here; none is lost.")
	}
	if found.Missing > 0 {
		d.Notes = append(d.Notes, count(uint64(found.Missing))+" events that were found could not be read: files of the log were lost or damaged. Administrators: see the server's log.")
	}
	if found.More && len(found.Events) == 0 {
		d.Notes = append(d.Notes, "The search took too long, and found nothing until now. Go on with the next page, or ask for a shorter time.")
	}
}

// firstSteps tells how events come here.
type firstSteps struct {
	Uses   uses
	Tokens string // the page with the tokens of producers, "" for those who may not make one
}

func (s *Site) firstSteps(v *visit, p *place) *firstSteps {
	f := &firstSteps{Uses: s.usesOf(v, p, "start")}
	if p.Owner {
		f.Tokens = p.Root + "/tokens"
	}
	return f
}
