package cloudloggingtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

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
