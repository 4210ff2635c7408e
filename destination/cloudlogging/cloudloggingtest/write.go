package cloudloggingtest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of the API (https://cloud.google.com/logging/quotas).
const (
	maxRequest = 10 << 20
	maxEntry   = 256 << 10
	maxLabels  = 64
	maxKey     = 512
	maxLogID   = 511
	maxFuture  = 24 * time.Hour
)

// writeRequest is a WriteLogEntriesRequest.
type writeRequest struct {
	LogName        string            `json:"logName"`
	Resource       *resource         `json:"resource"`
	Labels         map[string]string `json:"labels"`
	Entries        []jsontext.Value  `json:"entries"`
	PartialSuccess bool              `json:"partialSuccess"`
	DryRun         bool              `json:"dryRun"`
}

// resource is a MonitoredResource.
type resource struct {
	Type   string            `json:"type"`
	Labels map[string]string `json:"labels"`
}

// logEntry is a LogEntry; what is a message of its own and not looked at is only
// checked to be an object.
type logEntry struct {
	LogName        string                    `json:"logName"`
	Resource       *resource                 `json:"resource"`
	Timestamp      string                    `json:"timestamp"`
	Severity       string                    `json:"severity"`
	InsertID       string                    `json:"insertId"`
	Labels         map[string]string         `json:"labels"`
	JSONPayload    jsontext.Value            `json:"jsonPayload"`
	TextPayload    *string                   `json:"textPayload"`
	ProtoPayload   map[string]jsontext.Value `json:"protoPayload"`
	HTTPRequest    map[string]jsontext.Value `json:"httpRequest"`
	Operation      map[string]jsontext.Value `json:"operation"`
	SourceLocation map[string]jsontext.Value `json:"sourceLocation"`
	Split          map[string]jsontext.Value `json:"split"`
	Trace          string                    `json:"trace"`
	SpanID         string                    `json:"spanId"`
	TraceSampled   bool                      `json:"traceSampled"`
}

var severities = map[string]bool{
	"": true, "DEFAULT": true, "DEBUG": true, "INFO": true, "NOTICE": true, "WARNING": true, "ERROR": true, "CRITICAL": true, "ALERT": true, "EMERGENCY": true,
}

var (
	logNamePattern = regexp.MustCompile(`^projects/([a-z][a-z0-9-]{4,28}[a-z0-9])/logs/([^/]+)$`)
	logIDPattern   = regexp.MustCompile(`^[A-Za-z0-9/_.-]+$`)
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

// entry fills in what the request says for all entries.
func (in *logEntry) entry(q writeRequest) (Entry, bool) {
	out := Entry{LogName: in.LogName, InsertID: in.InsertID, Severity: in.Severity, Labels: in.Labels, Payload: in.JSONPayload}
	if out.LogName == "" {
		out.LogName = q.LogName
	}
	if in.Resource == nil {
		in.Resource = q.Resource
	}
	if in.Resource != nil {
		out.Resource = in.Resource.Type
	}
	for name, value := range q.Labels {
		if _, own := out.Labels[name]; !own {
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[name] = value
		}
	}
	if in.Timestamp == "" {
		return out, true
	}
	var err error
	out.Timestamp, err = time.Parse(time.RFC3339Nano, in.Timestamp)
	return out, err == nil
}

// wrong says what is wrong with an entry, "" when nothing is.
func (in *logEntry) wrong(e Entry, size int, now time.Time) string {
	switch {
	case size > maxEntry:
		return fmt.Sprintf("Log entry with size %.1fK exceeds maximum size of 256.0K", float64(size)/1024)
	case e.Resource == "":
		return "A monitored resource is required."
	case !severities[e.Severity]:
		return fmt.Sprintf("Invalid value (type.googleapis.com/google.logging.type.LogSeverity), %q", e.Severity)
	case e.Timestamp.After(now.Add(maxFuture)):
		return "Log entry timestamp is more than 24 hours in the future"
	case len(e.Labels) > maxLabels:
		return "Too many labels."
	case in.payloads() != 1:
		return "An entry needs exactly one payload."
	}
	for key := range e.Labels {
		if key == "" || len(key) > maxKey {
			return "Invalid label key."
		}
	}
	if in.JSONPayload != nil && !isStruct(in.JSONPayload) {
		return "jsonPayload is not a google.protobuf.Struct"
	}
	return ""
}

func (in *logEntry) payloads() (n int) {
	for _, there := range []bool{in.JSONPayload != nil, in.TextPayload != nil, in.ProtoPayload != nil} {
		if there {
			n++
		}
	}
	return n
}

// isStruct reports whether a value fits into a google.protobuf.Struct: an object
// whose numbers are finite doubles.
func isStruct(v jsontext.Value) bool {
	if v.Kind() != '{' {
		return false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		t, err := dec.ReadToken()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if t.Kind() == '0' {
			if _, err := strconv.ParseFloat(t.String(), 64); err != nil {
				return false
			}
		}
	}
}
