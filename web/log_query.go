package web

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Days that the chart shows.
const (
	fewDays  = 30
	manyDays = 90
)

// logQuery is what the form above the events asks for. Every view of the log has
// an address that holds it.
type logQuery struct {
	Phrase, Author, Type string
	From, To             string // days, both in the range
	Class, Order         string // as in [control.EventQuery]
	Days                 int    // of the chart
	after, before        string // cursors
}

func readLogQuery(v url.Values) logQuery {
	q := logQuery{
		Phrase: strings.TrimSpace(v.Get("phrase")), Author: strings.TrimSpace(v.Get("author")), Type: v.Get("type"), From: v.Get("from"), To: v.Get("to"),
		Class: v.Get("class"), Order: v.Get("order"), Days: fewDays, after: v.Get("after"), before: v.Get("before"),
	}
	if v.Get("days") == strconv.Itoa(manyDays) {
		q.Days = manyDays
	}
	if q.Order == control.NewestFirst {
		q.Order = ""
	}
	return q
}

// Narrowed reports whether the query asks for less than everything.
func (q logQuery) Narrowed() bool {
	return q.Phrase != "" || q.Author != "" || q.Type != "" || q.From != "" || q.To != "" || q.Class != ""
}

// Fields reports whether it asks for something beside the phrase. On phones these
// fields are folded as long as they are empty.
func (q logQuery) Fields() bool {
	return q.Author != "" || q.Type != "" || q.From != "" || q.To != "" || q.Class != "" || q.Order != ""
}

// fromStart reports whether the page is the first one.
func (q logQuery) fromStart() bool { return q.after == "" && q.before == "" }

// check returns what is wrong with the dates.
func (q logQuery) check() error {
	for _, day := range []struct{ name, text string }{{"first", q.From}, {"last", q.To}} {
		if t, err := time.Parse(dateFormat, day.text); day.text != "" && (err != nil || t.Year() < 1970) {
			return sluice.Errorf(sluice.Invalid, "the %s day cannot be read", day.name).WithHint("for example 2026-01-31, or nothing")
		}
	}
	if q.From != "" && q.To != "" && q.From > q.To {
		return sluice.Errorf(sluice.Invalid, "the last day comes before the first").WithHint("exchange the two days")
	}
	return nil
}

// narrow is all that is asked for as one phrase: that of the reader first, so that
// the columns of errors are those of the field.
func (q logQuery) narrow() string {
	var parts []string
	for _, p := range []string{q.Phrase, qualified("actor", q.Author), qualified("type", q.Type), createdBetween(q.From, q.To)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " AND ")
}

// and asks for one thing more in the phrase, unless it does already.
func (q *logQuery) and(part string) {
	switch {
	case q.Phrase == "":
		q.Phrase = part
	case !strings.Contains(q.Phrase, part):
		q.Phrase += " AND " + part
	}
}

// qualified is a part of a phrase.
func qualified(name, value string) string {
	if value == "" {
		return ""
	}
	return name + `:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// createdBetween is the part of a phrase that asks for some days.
func createdBetween(from, to string) string {
	switch {
	case from != "" && to != "":
		return "created:" + from + ".." + to
	case from != "":
		return "created:>=" + from
	case to != "":
		return "created:<=" + to
	}
	return ""
}

// address is where the query is answered, at its first page.
func (q logQuery) address(root string) string {
	v := url.Values{}
	for name, value := range map[string]string{
		"phrase": q.Phrase, "author": q.Author, "type": q.Type, "from": q.From, "to": q.To, "class": q.Class, "order": q.Order,
		"after": q.after, "before": q.before,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Days != fewDays {
		v.Set("days", strconv.Itoa(q.Days))
	}
	if len(v) == 0 {
		return root + "/audit-log"
	}
	return root + "/audit-log?" + v.Encode()
}

// with is the address of the first page of a changed query.
func (q logQuery) with(root string, change func(*logQuery)) string {
	q.after, q.before = "", ""
	change(&q)
	return q.address(root)
}
