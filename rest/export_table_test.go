package rest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/index"
)

// table writes events as a form does.
func table(t *testing.T, f func(*bufio.Writer) exportForm, events []control.ExportedEvent) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	form := f(w)
	err := form.begin()
	for i := range events {
		if err == nil {
			err = form.event(&events[i])
		}
	}
	if err == nil {
		err = form.end()
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func oldForm(w *bufio.Writer) exportForm { return &oldTable{w: csv.NewWriter(w)} }
func newForm(w *bufio.Writer) exportForm { return newExportForm(control.ExportCSV, w) }

// anyEvent makes an event of members that a table shows, and of others.
func anyEvent(r *rand.Rand) control.ExportedEvent {
	e := control.ExportedEvent{Event: index.Event{Time: r.Int64N(4e15), ID: []byte("i-1"), Namespace: "acme/web"}}
	if r.IntN(3) == 0 {
		e.ID, e.Namespace = []byte("-"), "@acme"
	}
	e.Payload = []byte(anyObject(r, 0, false))
	return e
}

func anyName(r *rand.Rand) string {
	names := []string{"id", "_document_id", "author_id", "actor_id", "author_name", "actor", "author_email", "actor_email", "entity_id", "entity_type",
		"entity_path", "repo", "repo_id", "org", "org_id", "business", "business_id", "target_id", "user_id", "target_type", "target_details", "user",
		"custom_message", "message", "event_type", "action", "ip_address", "actor_ip", "details", "details", "other", "", "ID"}
	name := names[r.IntN(len(names))]
	if name != "" && r.IntN(10) == 0 {
		return fmt.Sprintf(`"\u%04x%s"`, name[0], name[1:])
	}
	return `"` + name + `"`
}

// anyObject makes an object; names in the event itself do not repeat.
func anyObject(r *rand.Rand, depth int, repeat bool) string {
	var members []string
	seen := map[string]bool{}
	for range r.IntN(14) {
		name := anyName(r)
		var plain string
		if err := json.Unmarshal([]byte(name), &plain); err != nil || seen[plain] && !repeat {
			continue
		}
		seen[plain] = true
		value := anyValue(r, depth+1)
		if plain == "details" && r.IntN(4) > 0 {
			value = anyObject(r, depth+1, true)
		}
		members = append(members, name+":"+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

func anyValue(r *rand.Rand, depth int) string {
	texts := []string{`""`, `"a"`, `"a b"`, `" a"`, `"a,b"`, `"a\"b"`, `"\n"`, `"a\rb"`, `"\\."`, `"\\"`, `"=1"`, `"-1"`, `"-1.5"`, `"-1.5.2"`, `"+x"`, `"@x"`, `"\u003d1"`,
		`"＝x"`, `"\tx"`, `";"`, `"é\u00e9\ud83d\ude00"`, `"\u00a0x"`, `"\u2028"`, `"{\"a\":1}"`, `0`, `-7`, `1e9`, `true`, `false`, `null`}
	if depth < 5 {
		switch r.IntN(8) {
		case 0:
			return anyObject(r, depth, true)
		case 1:
			var list []string
			for range r.IntN(3) {
				list = append(list, anyValue(r, depth+1))
			}
			return "[" + strings.Join(list, ",") + "]"
		}
	}
	return texts[r.IntN(len(texts))]
}

// A table has the bytes that the standard library makes of the same events.
func TestTableAsBefore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		events := []control.ExportedEvent{anyEvent(r)}
		if got, want := table(t, newForm, events), table(t, oldForm, events); got != want {
			t.Fatalf("%s: got\n%s\nwant\n%s", events[0].Payload, got, want)
		}
	}
	events := corpusEvents(t, 1000)
	if got, want := table(t, newForm, events), table(t, oldForm, events); got != want {
		t.Errorf("got\n%.2000s\nwant\n%.2000s", got, want)
	}
}

// Whatever the bytes are, reading members ends, and within them.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"id":"a","details":{"user":[["x"]]}}`, `{"id":`, `{"`, `{"a\\":{}`, `[`, ``, `{"id":[}`, `{"id"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		form := newExportForm(control.ExportCSV, bufio.NewWriter(io.Discard))
		if err := form.event(&control.ExportedEvent{Event: index.Event{Payload: payload}}); err != nil {
			t.Error(err)
		}
	})
}

// corpusEvents are events of the varied corpus.
func corpusEvents(tb testing.TB, n int) []control.ExportedEvent {
	tb.Helper()
	c, err := corpus.New(corpus.Spec{Kind: corpus.Varied, Seed: 1})
	if err != nil {
		tb.Fatal(err)
	}
	g, events := c.Generator(0), make([]control.ExportedEvent, n)
	for i := range events {
		events[i].Payload = bytes.TrimSpace(g.Append(nil, uint64(i), 1_763_000_000_123_456_789))
		events[i].Namespace, events[i].ID = "acme", []byte("x")
	}
	return events
}

func BenchmarkTable(b *testing.B) {
	events := corpusEvents(b, 1000)
	for name, make := range map[string]func(*bufio.Writer) exportForm{"scanner": newForm, "standard-library": oldForm} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			form := make(bufio.NewWriterSize(io.Discard, exportBuffer))
			i := 0
			for b.Loop() {
				if err := form.event(&events[i%len(events)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// oldTable does what csvForm does by means of the standard library.
type oldTable struct {
	w   *csv.Writer
	row [len(oldColumns)]string
}

// oldColumns are those of GitLab's export of audit events.
var oldColumns = [...]string{
	"ID", "Author ID", "Author Name", "Author Email", "Entity ID", "Entity Type", "Entity Path",
	"Target ID", "Target Type", "Target Details", "Action", "IP Address", "Created At (UTC)",
}

func (f *oldTable) begin() error { return f.w.Write(oldColumns[:]) }

func (f *oldTable) event(e *control.ExportedEvent) error {
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

func (f *oldTable) end() error {
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
			if cell := oldCell(in[name]); cell != "" {
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
	return oldGuard(string(m.e.ID))
}

func (m *cells) path() string {
	if path := m.text("entity_path"); path != "" {
		return path
	}
	return oldGuard(m.e.Namespace)
}

func (m *cells) target() string {
	if kind := m.text("target_type"); kind != "" || m.text("user") == "" {
		return kind
	}
	return "User"
}

// oldCell returns a JSON value as a cell: of an array the first element, of an
// object its text.
func oldCell(v json.RawMessage) string {
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case '"':
		var s string
		if json.Unmarshal(v, &s) != nil {
			return ""
		}
		return oldGuard(s)
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(v, &list) != nil || len(list) == 0 {
			return ""
		}
		return oldCell(list[0])
	case 'n':
		return ""
	}
	return string(v)
}

// guard keeps spreadsheets from taking a text for a formula, as OWASP advises
// (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe goes in
// front of what could be one. Numbers are left alone.
func oldGuard(s string) string {
	if s == "" {
		return s
	}
	switch first, _ := utf8.DecodeRuneInString(s); first {
	case '+', '-':
		if oldIsNumber(s[1:]) {
			return s
		}
	case '=', '@', '\t', '\r', '\n', ';', '＝', '＋', '－', '＠':
	default:
		return s
	}
	return "'" + s
}

func oldIsNumber(s string) bool {
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
