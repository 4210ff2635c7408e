package rest

import (
	"bufio"
	"bytes"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// csvForm is a table with the columns of GitLab's export.
type csvForm struct {
	w            *bufio.Writer
	e            *control.ExportedEvent
	own, details shown // of the event, and of its details
	row          []byte
	cell, text   []byte // used while a cell is made
}

// csvColumns are those of GitLab's export of audit events.
const csvColumns = "ID,Author ID,Author Name,Author Email,Entity ID,Entity Type,Entity Path," +
	"Target ID,Target Type,Target Details,Action,IP Address,Created At (UTC)\n"

func (f *csvForm) begin() error {
	_, err := f.w.WriteString(csvColumns)
	return err
}

func (f *csvForm) end() error { return nil }

func (f *csvForm) event(e *control.ExportedEvent) error {
	f.e, f.row = e, f.row[:0]
	f.own.read(e.Payload)
	if f.details = (shown{}); at(f.own[columnDetails], 0) == '{' {
		f.details.read(f.own[columnDetails])
	}
	f.put(f.id())
	f.put(f.first(columnAuthorID, columnActorID))
	f.put(f.first(columnAuthorName, columnActor))
	f.put(f.first(columnAuthorEmail, columnActorEmail))
	id, kind := f.entity()
	f.put(f.first(id))
	if kind != "" {
		f.put([]byte(kind))
	} else {
		f.put(f.first(columnEntityType))
	}
	f.put(f.path())
	f.put(f.first(columnTargetID, columnUserID))
	f.put(f.target())
	f.put(f.first(columnTargetDetails, columnUser))
	f.put(f.first(columnCustomMessage, columnMessage, columnEventType, columnAction))
	f.put(f.first(columnIPAddress, columnActorIP))
	f.cell = time.UnixMicro(e.Time).UTC().AppendFormat(f.cell[:0], "2006-01-02T15:04:05.000Z")
	f.put(f.cell)
	f.row[len(f.row)-1] = '\n'
	_, err := f.w.Write(f.row)
	return err
}

// first returns the first of the members that says something, in the event or in
// its details, as a cell. It is valid until the next call.
func (f *csvForm) first(columns ...column) []byte {
	for _, c := range columns {
		for _, in := range []*shown{&f.own, &f.details} {
			if cell := f.cellOf(in[c]); len(cell) > 0 {
				return cell
			}
		}
	}
	return nil
}

func (f *csvForm) says(c column) bool { return len(f.first(c)) > 0 }

// entity returns what has the id of what an event is about, and its type where
// the event does not say it. GitHub's events name repository, organization and
// enterprise.
func (f *csvForm) entity() (id column, kind string) {
	switch {
	case f.says(columnEntityType), f.own[columnEntityID] != nil:
		return columnEntityID, ""
	case f.says(columnRepo):
		return columnRepoID, "Project"
	case f.says(columnOrg):
		return columnOrgID, "Group"
	case f.says(columnBusiness):
		return columnBusinessID, "Group"
	}
	return noColumn, ""
}

func (f *csvForm) id() []byte {
	if id := f.first(columnID, columnDocumentID); len(id) > 0 {
		return id
	}
	return f.guard(f.e.ID)
}

func (f *csvForm) path() []byte {
	if path := f.first(columnEntityPath); len(path) > 0 {
		return path
	}
	return f.guard([]byte(f.e.Namespace))
}

func (f *csvForm) target() []byte {
	if kind := f.first(columnTargetType); len(kind) > 0 || !f.says(columnUser) {
		return kind
	}
	return []byte("User")
}

// cellOf returns a JSON value as a cell: of an array the first element, of an
// object its text.
func (f *csvForm) cellOf(v []byte) []byte {
	for at(v, 0) == '[' && len(v) > len("[]") {
		v = v[1:endOfValue(v, 1)]
	}
	switch at(v, 0) {
	case '"':
		s := v[1:max(1, len(v)-1)]
		if bytes.IndexByte(s, '\\') >= 0 {
			f.text = sluice.AppendUnescaped(f.text[:0], s)
			s = f.text
		}
		return f.guard(s)
	case 0, 'n', '[':
		return nil
	}
	return v
}

// guard keeps spreadsheets from taking a text for a formula, as OWASP advises
// (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe goes in
// front of what could be one. Numbers are left alone.
func (f *csvForm) guard(s []byte) []byte {
	if len(s) == 0 {
		return s
	}
	switch first, _ := utf8.DecodeRune(s); first {
	case '+', '-':
		if isNumber(s[1:]) {
			return s
		}
	case '=', '@', '\t', '\r', '\n', ';', '＝', '＋', '－', '＠':
	default:
		return s
	}
	f.cell = append(append(f.cell[:0], '\''), s...)
	return f.cell
}

func isNumber(s []byte) bool {
	dots := 0
	for _, c := range s {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return false
		}
	}
	return len(s) > 0 && dots <= 1
}

// put appends a cell, in quotes where they are needed (RFC 4180), and a comma.
func (f *csvForm) put(cell []byte) {
	if !quoted(cell) {
		f.row = append(append(f.row, cell...), ',')
		return
	}
	f.row = append(f.row, '"')
	for len(cell) > 0 {
		n := bytes.IndexByte(cell, '"') + 1
		if n == 0 {
			break
		}
		f.row = append(append(f.row, cell[:n]...), '"')
		cell = cell[n:]
	}
	f.row = append(append(f.row, cell...), `",`...)
}

// quoted reports whether a cell needs quotes. Space in front is kept by them, and
// \. would end the data for some databases.
func quoted(cell []byte) bool {
	for _, c := range cell {
		switch c {
		case ',', '"', '\r', '\n':
			return true
		}
	}
	first, _ := utf8.DecodeRune(cell)
	return unicode.IsSpace(first) || string(cell) == `\.`
}
