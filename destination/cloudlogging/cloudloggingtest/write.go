package cloudloggingtest

import (
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
)

func (g *Google) serveWrite(w http.ResponseWriter, r *http.Request) {
	body, packed, failure := readBody(r)
	if failure == nil && !g.valid(r) {
		e := Unauthenticated()
		failure = &e
	}
	var q Request
	var failed map[int]Error
	if failure == nil {
		q, failed, failure = g.decode(body)
	}
	if failure != nil {
		failure.write(w)
		return
	}
	q.Bytes, q.Packed = len(body), packed
	g.decide(w, r, q, failed)
}

// decide asks the script about a valid request, keeps its entries and answers.
func (g *Google) decide(w http.ResponseWriter, r *http.Request, q Request, failed map[int]Error) {
	g.mu.Lock()
	var f Fault
	if g.config.Script != nil {
		f = g.config.Script(g.writes, q)
	}
	g.writes++
	if g.config.Keep == nil {
		g.requests = append(g.requests, q)
	}
	for i, e := range f.Entries {
		failed[i] = e
	}
	answer := f.Error
	if answer == nil && !f.Hang && !f.Reset {
		answer = g.keep(q, failed)
	}
	g.mu.Unlock()
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Reset, f.Lost:
		reset(w)
	case answer != nil:
		answer.write(w)
	default:
		writeJSON(w, http.StatusOK, struct{}{})
	}
}

// keep keeps the entries that did not fail and returns the answer, nil when all
// is well. g is locked.
func (g *Google) keep(q Request, failed map[int]Error) *Error {
	kept := make([]Entry, 0, len(q.Entries))
	for i, e := range q.Entries {
		if _, bad := failed[i]; !bad {
			kept = append(kept, e)
		}
	}
	if len(failed) > 0 && (!q.Partial || len(kept) == 0) {
		e := partial(failed)
		e.Details = e.Details[1:] // nothing is written: no errors of entries
		return &e
	}
	if !q.DryRun {
		if g.config.Keep != nil {
			g.config.Keep(kept)
		} else {
			g.entries = append(g.entries, kept...)
		}
	}
	if len(failed) > 0 {
		e := partial(failed)
		return &e
	}
	return nil
}

func readBody(r *http.Request) (body []byte, packed bool, failure *Error) {
	invalid := func(format string, args ...any) ([]byte, bool, *Error) {
		e := Invalid(fmt.Sprintf(format, args...))
		return nil, false, &e
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return invalid("Invalid content type: %q", r.Header.Get("Content-Type"))
	}
	in := io.Reader(r.Body)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			return invalid("Failed to decompress the request.")
		}
		in, packed = zip, true
	default:
		return invalid("Unsupported content encoding: %q", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	switch {
	case err != nil:
		return invalid("Failed to read the request.")
	case len(body) > maxRequest:
		return invalid("Request payload size exceeds the limit: %d bytes.", maxRequest)
	}
	return body, packed, nil
}

// decode reads a request: a request that is no JSON or has fields that are not
// known fails as a whole, else single entries do.
func (g *Google) decode(body []byte) (q Request, failed map[int]Error, failure *Error) {
	var raw writeRequest
	if err := json.Unmarshal(body, &raw, json.RejectUnknownMembers(true)); err != nil {
		e := Invalid("Invalid JSON payload received. " + err.Error())
		return q, nil, &e
	}
	q = Request{LogName: raw.LogName, DryRun: raw.DryRun, Partial: raw.PartialSuccess}
	failed = map[int]Error{}
	for i, value := range raw.Entries {
		var in logEntry
		if err := json.Unmarshal(value, &in, json.RejectUnknownMembers(true)); err != nil {
			e := Invalid(fmt.Sprintf("Invalid JSON payload received at 'entries[%d]'. %s", i, err))
			return q, nil, &e
		}
		entry, dated := in.entry(raw)
		if !dated {
			e := Invalid(fmt.Sprintf("Invalid value at 'entries[%d].timestamp'", i))
			return q, nil, &e
		}
		if why := in.wrong(entry, len(value), g.config.Now()); why != "" {
			failed[i] = Invalid(why)
		}
		if e := g.checkLog(entry.LogName); e != nil {
			return q, nil, e
		}
		q.Entries = append(q.Entries, entry)
	}
	if len(raw.Entries) == 0 {
		e := Invalid("No entries in the request.")
		return q, nil, &e
	}
	return q, failed, nil
}

// checkLog judges the name of a log.
func (g *Google) checkLog(name string) *Error {
	m := logNamePattern.FindStringSubmatch(name)
	if m == nil {
		e := Invalid(fmt.Sprintf("Name %q is missing the logs component. Expected the form projects/[PROJECT_ID]/logs/[ID]", name))
		return &e
	}
	id, err := url.PathUnescape(m[2])
	if err != nil || len(id) > maxLogID || !logIDPattern.MatchString(id) {
		e := Invalid("Log name contains illegal character")
		return &e
	}
	if m[1] != g.config.Project {
		e := NotFound(m[1])
		return &e
	}
	return nil
}
