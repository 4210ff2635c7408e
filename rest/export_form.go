package rest

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/sluicelog/sluice/control"
)

// exportForm writes events in one of the formats.
type exportForm interface {
	begin() error
	event(e *control.ExportedEvent) error
	end() error
}

func newExportForm(format string, w *bufio.Writer) exportForm {
	switch format {
	case control.ExportJSON:
		return &arrayForm{w: w}
	case control.ExportCSV:
		return &csvForm{w: csv.NewWriter(w)}
	}
	return lineForm{w}
}

// lineForm is NDJSON: events as they were accepted, one a line.
type lineForm struct{ w *bufio.Writer }

func (f lineForm) begin() error { return nil }
func (f lineForm) end() error   { return nil }

func (f lineForm) event(e *control.ExportedEvent) error {
	if _, err := f.w.Write(e.Payload); err != nil {
		return err
	}
	return f.w.WriteByte('\n')
}

// arrayForm is one JSON array of events as they were accepted, one a line too, so
// that what is left of a broken download can be read.
type arrayForm struct {
	w    *bufio.Writer
	some bool
}

func (f *arrayForm) begin() error { return f.w.WriteByte('[') }

func (f *arrayForm) event(e *control.ExportedEvent) error {
	between := ",\n"
	if !f.some {
		between, f.some = "\n", true
	}
	if _, err := f.w.WriteString(between); err != nil {
		return err
	}
	_, err := f.w.Write(e.Payload)
	return err
}

func (f *arrayForm) end() error {
	_, err := f.w.WriteString("\n]\n")
	return err
}

// csvForm is a table with the columns of GitLab's export.
type csvForm struct {
	w   *csv.Writer
	row [len(csvColumns)]string
}

// csvColumns are those of GitLab's export of audit events.
var csvColumns = [...]string{
	"ID", "Author ID", "Author Name", "Author Email", "Entity ID", "Entity Type", "Entity Path",
	"Target ID", "Target Type", "Target Details", "Action", "IP Address", "Created At (UTC)",
}

func (f *csvForm) begin() error { return f.w.Write(csvColumns[:]) }

func (f *csvForm) event(e *control.ExportedEvent) error {
	m := cells{e: e}
	if err := json.Unmarshal(e.Payload, &m.own); err != nil {
		return err // the log holds none such
	}
	_ = json.Unmarshal(m.own["details"], &m.details) // there need be none
	entityID, entityType := m.entity()
	f.row = [...]string{
		m.id(),
		m.text("author_id", "actor_id"),
		m.text("author_name", "actor"),
		m.text("author_email", "actor_email"),
		entityID, entityType,
		m.path(),
		m.text("target_id", "user_id"),
		m.target(),
		m.text("target_details", "user"),
		m.text("custom_message", "message", "event_type", "action"),
		m.text("ip_address", "actor_ip"),
		time.UnixMicro(e.Time).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	return f.w.Write(f.row[:])
}

func (f *csvForm) end() error {
	f.w.Flush()
	return f.w.Error()
}

// cells reads an event's members in either vocabulary.
type cells struct {
	e            *control.ExportedEvent
	own, details map[string]json.RawMessage
}

// text returns the first of the named members that says something, in the event or
// in its details, as a cell.
func (m *cells) text(names ...string) string {
	for _, name := range names {
		for _, in := range []map[string]json.RawMessage{m.own, m.details} {
			if cell := cellOf(in[name]); cell != "" {
				return cell
			}
		}
	}
	return ""
}

// entity returns id and type of what an event is about. GitHub's events name
// repository, organization and enterprise.
func (m *cells) entity() (id, kind string) {
	if kind = m.text("entity_type"); kind != "" || m.own["entity_id"] != nil {
		return m.text("entity_id"), kind
	}
	for _, x := range [][3]string{{"repo", "repo_id", "Project"}, {"org", "org_id", "Group"}, {"business", "business_id", "Group"}} {
		if m.text(x[0]) != "" {
			return m.text(x[1]), x[2]
		}
	}
	return "", ""
}

func (m *cells) id() string {
	if id := m.text("id", "_document_id"); id != "" {
		return id
	}
	return guard(string(m.e.ID))
}

func (m *cells) path() string {
	if path := m.text("entity_path"); path != "" {
		return path
	}
	return guard(m.e.Namespace)
}

func (m *cells) target() string {
	if kind := m.text("target_type"); kind != "" || m.text("user") == "" {
		return kind
	}
	return "User"
}

// cellOf returns a JSON value as a cell: of an array the first element, of an
// object its text.
func cellOf(v json.RawMessage) string {
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case '"':
		var s string
		if json.Unmarshal(v, &s) != nil {
			return ""
		}
		return guard(s)
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(v, &list) != nil || len(list) == 0 {
			return ""
		}
		return cellOf(list[0])
	case 'n':
		return ""
	}
	return string(v)
}

// guard keeps spreadsheets from taking a text for a formula, as OWASP advises
// (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe goes in
// front of what could be one. Numbers are left alone.
func guard(s string) string {
	if s == "" {
		return s
	}
	switch first, _ := utf8.DecodeRuneInString(s); first {
	case '+', '-':
		if isNumber(s[1:]) {
			return s
		}
	case '=', '@', '\t', '\r', '\n', ';', '＝', '＋', '－', '＠':
	default:
		return s
	}
	return "'" + s
}

func isNumber(s string) bool {
	dots := 0
	for _, c := range s {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return false
		}
	}
	return s != "" && dots <= 1
}
