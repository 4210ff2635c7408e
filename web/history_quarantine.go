package web

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	quarantineRows = 50      // on a page
	quarantineMost = 1000    // that can be looked at, fewer when they are large: the oldest
	quarantineJSON = 2 << 10 // bytes of an event
)

// quarantineData is the data of the page of a stream's quarantine.
type quarantineData struct {
	Place   *place
	Head    streamHead
	Rows    []quarantineRow
	Total   uint64
	First   int // number of the first row
	Last    int
	Newer   string   // address of the next rows
	Older   string   // address of the rows before
	Most    int      // that can be looked at, 0 when that is all there are
	UpTo    []string // of those that are all: the last event of each class
	Problem *formProblem
}

// quarantineRow is an event that waits in quarantine.
type quarantineRow struct {
	Name     string // in forms
	Number   int
	Type     string
	Path     string
	Class    string
	Accepted time.Time
	At       time.Time
	Reason   string
	JSON     string
	Cut      bool
	Address  string // of the event in the audit log
}

func (s *Site) quarantinePage(ctx context.Context, v *visit, p *place) (answer, error) {
	head, err := s.headOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return s.quarantineWith(ctx, v, p, head, nil)
}

// quarantineWith shows the quarantine, with the error of what was asked for.
func (s *Site) quarantineWith(ctx context.Context, v *visit, p *place, head streamHead, cause error) (answer, error) {
	list, err := s.service.Quarantine(ctx, v.by, head.Stream.ID, quarantineMost)
	if err != nil {
		return answer{}, err
	}
	data := &quarantineData{Place: p, Head: head, Total: head.Stream.Ledger.Quarantined}
	if len(list) == quarantineMost || uint64(len(list)) < data.Total {
		data.Most = len(list)
	}
	for _, l := range head.Stream.Lanes {
		if l.Ledger.Quarantined > 0 {
			data.UpTo = append(data.UpTo, l.Partition+"-"+strconv.FormatUint(l.Cursor, 10))
		}
	}
	from, _ := strconv.Atoi(v.URL.Query().Get("from"))
	if from = from - 1; from < 0 || from >= len(list) {
		from = 0
	}
	address := head.Address + "/quarantine"
	if from > 0 {
		data.Older = address + "?from=" + strconv.Itoa(max(1, from+1-quarantineRows))
	}
	end := min(len(list), from+quarantineRows)
	if end < len(list) {
		data.Newer = address + "?from=" + strconv.Itoa(end+1)
	}
	data.First, data.Last = from+1, end
	for i := from; i < end; i++ {
		data.Rows = append(data.Rows, quarantineRowOf(p, &list[i], i+1))
	}
	title := p.Title(head.Title)
	if cause != nil {
		return refuse("quarantine", title, data, &data.Problem, cause)
	}
	return show("quarantine", title, data), nil
}

func quarantineRowOf(p *place, q *control.Quarantined, number int) quarantineRow {
	seq := strconv.FormatUint(q.Seq, 10)
	row := quarantineRow{
		Name: q.Partition + "-" + seq, Number: number, Type: plain(q.Type, rowName), Path: plain(q.Namespace, rowText), Class: className(q.Partition),
		Accepted: q.Accepted, At: q.At, Reason: plain(q.Reason, rowText), Address: p.Root + "/audit-log/" + q.Partition + "-" + seq,
	}
	row.JSON, row.Cut = pretty(q.Payload, quarantineJSON)
	return row
}

// emptyQuarantine delivers events again, or drops them after asking once.
func (s *Site) emptyQuarantine(ctx context.Context, v *visit, p *place) (answer, error) {
	head, err := s.headOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	if err := control.ChangesStreams(v.by, p.Namespace); err != nil {
		return answer{}, err
	}
	do, all := strings.CutSuffix(v.PostForm.Get("do"), "-all")
	which, err := quarantineChoice(v.PostForm, all)
	if err != nil {
		return s.quarantineWith(ctx, v, p, head, err)
	}
	address := head.Address + "/quarantine"
	switch {
	case do == "redeliver":
		if _, err = s.service.Redeliver(ctx, v.by, head.Stream.ID, which); err == nil {
			return redirectWith(address, "redelivered"), nil
		}
	case do == "drop" && v.PostForm.Get("sure") == "":
		return show("confirm", p.Title("Drop events"), dropping(head, v.PostForm, all)), nil
	case do == "drop":
		if _, err = s.service.Drop(ctx, v.by, head.Stream.ID, which); err == nil {
			return redirectWith(address, "dropped"), nil
		}
	default:
		err = sluice.Errorf(sluice.Invalid, "there is nothing to do").WithHint("use one of the buttons")
	}
	return s.quarantineWith(ctx, v, p, head, err)
}

// quarantineChoice reads which events a form means: those that are chosen, or all
// that its page showed.
func quarantineChoice(form url.Values, all bool) (which control.QuarantineChoice, err error) {
	if all {
		which.UpTo, err = quarantineKeys(form["up_to"])
		return which, err
	}
	which.Events, err = quarantineKeys(form["event"])
	return which, err
}

func quarantineKeys(names []string) ([]control.QuarantineKey, error) {
	if len(names) == 0 {
		return nil, sluice.Errorf(sluice.Invalid, "no event is chosen").WithHint("choose some in the list, or use the buttons for all of them")
	}
	keys := make([]control.QuarantineKey, 0, len(names))
	for _, name := range names {
		class, seq, ok := parseEventName(name)
		if !ok {
			return nil, sluice.Errorf(sluice.Invalid, "an event that was chosen is not known").WithHint("open the page again and choose it there")
		}
		keys = append(keys, control.QuarantineKey{Partition: class, Seq: seq})
	}
	return keys, nil
}

// dropping asks whether events are to be given up.
func dropping(head streamHead, form url.Values, all bool) *confirmation {
	do, field := "drop", "event"
	if all {
		do, field = "drop-all", "up_to"
	}
	c := &confirmation{Action: head.Address + "/quarantine", Button: "Drop", Back: head.Address + "/quarantine", Keep: "Keep them",
		Fields: []hidden{{"do", do}, {"sure", "yes"}}}
	for _, name := range form[field] {
		c.Fields = append(c.Fields, hidden{field, name})
	}
	n := uint64(len(form["event"]))
	if all {
		n, _ = strconv.ParseUint(form.Get("count"), 10, 64) // as the page showed it
		c.Lines = append(c.Lines, "These are all that the page counted. Those that came into quarantine since then stay there.")
	}
	c.Heading = "Drop " + plural(n, "event", "events") + " of the stream " + head.Title + "?"
	c.Lines = append(c.Lines, "This destination never gets them, and the stream's account counts them as expired. They stay in the audit log for as long as events are kept. Dropping cannot be undone.")
	return c
}
