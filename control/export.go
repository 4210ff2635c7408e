package control

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/search"
)

// Formats of exports.
const (
	ExportNDJSON = "ndjson" // an event a line
	ExportJSON   = "json"   // an array
	ExportCSV    = "csv"    // GitLab's columns
)

// Limits of what keeps a connection busy for long.
const (
	maxExports       = 8 // under way at once
	maxTenantExports = 3 // of one top-level namespace, or of the instance
)

// ExportQuery asks for all events that a phrase finds.
type ExportQuery struct {
	// Namespace is where they lie, or below; "" is everything that the caller may
	// see.
	Namespace string
	Phrase    string // see [index.ParsePhrase]; "" asks for all
	Class     string // "audit" or "git"; "" is both
	// From and To bound the time of acceptance: a day, which is in the range, or a
	// time, of which To is the first one behind the range. "" is open.
	From, To string
	Format   string // ExportNDJSON, also when it is "", ExportJSON or ExportCSV
	// After is the cursor of an export with the same query, AfterID the id of one
	// of its events; the export goes on behind it. At most one of them is set.
	After, AfterID string
}

// ExportedEvent is an event of an export.
type ExportedEvent = search.ExportedEvent

// Export is an export that was allowed. Its methods are called by one goroutine
// at a time; Close always.
type Export struct {
	*search.Export
	Format string
	Name   string    // for a file: "export-acme-1767225600"
	At     time.Time // when it began

	s       *Service
	by      Principal
	tenant  string
	told    act
	started bool
	closed  sync.Once
}

// Export begins an export. Who may not see a namespace is told what one is told
// who asks for one that is not there. Nothing is recorded, and no event is given
// out, until Start.
func (s *Service) Export(ctx context.Context, p Principal, q ExportQuery) (*Export, error) {
	query, err := s.searchQuery(p, q.Namespace, q.Phrase)
	if err != nil {
		return nil, err
	}
	if q.Namespace == "" {
		q.Namespace = p.Namespace
	}
	if q.Namespace == sluice.Instance && !may(p, actionReadEvents, sluice.Instance) {
		return nil, sluice.Errorf(sluice.Invalid, "namespace must be named: this account has roles in several").
			WithHint("an export is recorded in the log that it is of; export one after another")
	}
	switch q.Format {
	case "":
		q.Format = ExportNDJSON
	case ExportNDJSON, ExportJSON, ExportCSV:
	default:
		return nil, sluice.Errorf(sluice.Invalid, "format must be %q, %q or %q", ExportNDJSON, ExportJSON, ExportCSV)
	}
	if query.Accepted, err = readRange(q.From, q.To); err != nil {
		return nil, err
	}
	partition, err := s.partitionOf(q.Class)
	if err != nil {
		return nil, err
	}
	e := &Export{Format: q.Format, At: s.now(), s: s, by: p, tenant: sluice.FoldNamespace(sluice.TopLevel(q.Namespace)), told: q.act()}
	e.Name = exportName(e.tenant, e.At)
	if err := s.exports.enter(e.tenant); err != nil {
		return nil, err
	}
	e.Export, err = s.cfg.Search.Export(ctx, query, search.ExportOptions{Partition: partition, After: q.After, AfterID: q.AfterID})
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Start records the export in the log; what is recorded is not a part of it.
func (e *Export) Start(ctx context.Context) error {
	if err := e.s.tell(ctx, e.by, e.told); err != nil {
		return err
	}
	e.started = true
	return nil
}

// Next returns the next event: see [search.Export.Next].
func (e *Export) Next(ctx context.Context) (*ExportedEvent, error) {
	if !e.started {
		return nil, errors.New("control: the export was not started")
	}
	return e.Export.Next(ctx)
}

// Close ends the export. It may be called more than once.
func (e *Export) Close() { e.closed.Do(func() { e.s.exports.leave(e.tenant) }) }

// act is what an export is told as.
func (q *ExportQuery) act() act {
	fields := map[string]any{"format": q.Format, "query_phrase": q.Phrase, "namespace": q.Namespace}
	for name, value := range map[string]string{"class": q.Class, "start": q.From, "end": q.To} {
		if value != "" {
			fields[name] = value
		}
	}
	if q.After+q.AfterID != "" {
		fields["resumed"] = true
	}
	return act{
		Type: "audit_log.export", Namespace: q.Namespace, TargetType: "AuditLog", TargetID: q.Namespace, Target: q.Namespace,
		Message: "Exported events", Fields: fields,
	}
}

// partitionOf returns the partition of a class, "" for all.
func (s *Service) partitionOf(class string) (string, error) {
	switch sluice.Class(class) {
	case "":
		return "", nil
	case sluice.Audit, sluice.Git:
		return class, nil
	}
	return "", sluice.Errorf(sluice.Invalid, "class must be %q or %q", sluice.Audit, sluice.Git).WithHint("leave it out for events of both classes")
}

// exportName returns the name of a file for an export.
func exportName(tenant string, at time.Time) string {
	b := []byte(tenant)
	for i, c := range b {
		if c < '0' || c > '9' && c < 'a' || c > 'z' {
			b[i] = '-'
		}
	}
	if len(b) == 0 {
		b = []byte("instance")
	}
	return "export-" + string(b) + "-" + at.UTC().Format("20060102150405")
}

// readRange reads the two ends of a range.
func readRange(from, to string) (r index.Range, err error) {
	if r.From, err = readEnd("from", from, 0); err != nil {
		return r, err
	}
	if r.To, err = readEnd("to", to, 1); err != nil {
		return r, err
	}
	if !r.To.IsZero() && !r.From.Before(r.To) {
		return r, sluice.Errorf(sluice.Invalid, "the range ends before it starts").WithHint("from must be earlier than to")
	}
	return r, nil
}

// readEnd reads a day, to which a number of days is added, or a time.
func readEnd(field, text string, days int) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil && day.Year() >= 1970 {
		return day.AddDate(0, 0, days), nil
	}
	t, err := readTime(field, text)
	if err != nil {
		return t, sluice.Errorf(sluice.Invalid, "%s must be a day or a time", field).WithHint("for example 2026-01-31 or 2026-01-31T12:00:00Z")
	}
	return t, nil
}

// turnstile bounds what is under way for long, in all and for each tenant.
type turnstile struct {
	what      string
	all, each int

	mu     sync.Mutex
	n      int
	within map[string]int
}

func newTurnstile(what string, all, each int) *turnstile {
	return &turnstile{what: what, all: all, each: each, within: map[string]int{}}
}

// enter takes a place; leave gives it back.
func (t *turnstile) enter(tenant string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n >= t.all || t.within[tenant] >= t.each {
		return sluice.Errorf(sluice.RateLimited, "too many %s are under way", t.what).
			WithHint("wait until one has ended: there may be %d of an enterprise or group, and %d in all", t.each, t.all)
	}
	t.n++
	t.within[tenant]++
	return nil
}

func (t *turnstile) leave(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if t.within[tenant]--; t.within[tenant] == 0 {
		delete(t.within, tenant)
	}
}
