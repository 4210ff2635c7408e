package resttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// told are headers that mean something to callers: the document has to name
// them where they are sent.
func told(name string) bool {
	return strings.HasPrefix(name, "Ratelimit-") || strings.HasPrefix(name, "Sluice-") ||
		slices.Contains([]string{"Link", "Retry-After", "Location", "Etag", "Www-Authenticate", "Allow", "Accept-Encoding", "Content-Disposition"}, name)
}

func (d *Document) judgeHeader(place string, response object, header http.Header) (errs []error) {
	documented := map[string]bool{}
	for name, v := range at(response, "headers") {
		where, h := d.resolve(place+pointer("headers", name), v)
		documented[http.CanonicalHeaderKey(name)] = true
		values := header.Values(name)
		if len(values) == 0 && h["required"] == true {
			errs = append(errs, fmt.Errorf("the header %s is missing", name))
		}
		for _, value := range values {
			if err := d.check(where+"/schema", d.typed(h, value)); err != nil {
				errs = append(errs, fmt.Errorf("header %s: %w", name, err))
			}
		}
	}
	for name := range header {
		if told(name) && !documented[name] {
			errs = append(errs, fmt.Errorf("the document does not know the header %s", name))
		}
	}
	return errs
}

// typed returns the text of a parameter or header as its schema wants it.
func (d *Document) typed(owner object, text string) any {
	_, schema := d.resolve("", owner["schema"])
	if schema["type"] == "integer" {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return json.Number(text)
		}
	}
	return text
}

func (d *Document) judgeBody(place string, response object, r *http.Request, rec *record) []error {
	content := at(response, "content")
	if len(content) == 0 {
		if rec.body.Len() > 0 {
			return []error{errors.New("the document knows of no body")}
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(rec.header.Get("Content-Type"))
	if err != nil {
		return []error{fmt.Errorf("Content-Type: %w", err)}
	}
	if at(content, media) == nil {
		return []error{fmt.Errorf("the document does not know the media type %s", media)}
	}
	if r.Method == http.MethodHead || rec.header.Get("Content-Encoding") != "" || rec.large {
		return nil
	}
	switch media {
	case "application/json":
		return d.judgeJSON(place+pointer("content", media, "schema"), rec.body.Bytes())
	case "application/x-ndjson":
		return d.judgeJSON(pointer("components", "schemas", "Event"), rec.body.Bytes())
	case "text/event-stream":
		return d.judgeMessages(rec.body.String())
	}
	return nil
}

// judgeJSON compares JSON values, one behind the other, with a schema.
func (d *Document) judgeJSON(place string, text []byte) []error {
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var value any
		if err == nil {
			value, err = jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		}
		if err == nil {
			err = d.check(place, value)
		}
		if err != nil {
			return []error{fmt.Errorf("the body %.200s: %w", text, err)}
		}
	}
}

// judgeMessages judges server-sent events; the last may be cut off.
func (d *Document) judgeMessages(text string) (errs []error) {
	messages := strings.Split(text, "\n\n")
	for _, m := range messages[:len(messages)-1] {
		schema := "FoundEvent"
		for line := range strings.Lines(m) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch {
			case name == "event" && value == "gap":
				schema = "LiveGap"
			case name == "data":
				errs = append(errs, d.judgeJSON(pointer("components", "schemas", schema), []byte(value))...)
			}
		}
	}
	return errs
}

// judgeParameters judges what an accepted request asked for.
func (d *Document) judgeParameters(op *operation, r *http.Request) (errs []error) {
	query := r.URL.Query()
	known := map[string]bool{}
	for _, p := range op.parameters {
		name, _ := p.object["name"].(string)
		var values []string
		switch p.object["in"] {
		case "query":
			known[name], values = true, query[name]
		case "header":
			values = r.Header.Values(name)
		default:
			continue
		}
		if p.object["required"] == true && len(values) == 0 {
			errs = append(errs, fmt.Errorf("the parameter %s was not sent, and the document requires it", name))
		}
		for _, value := range values {
			if err := d.check(p.place+"/schema", d.typed(p.object, value)); err != nil {
				errs = append(errs, fmt.Errorf("the parameter %s was accepted: %w", name, err))
			}
		}
	}
	for name := range query {
		if !known[name] {
			errs = append(errs, fmt.Errorf("the parameter %s was accepted, and the document does not know it", name))
		}
	}
	return errs
}

// judgeRequest judges a body that was accepted. Bodies that nobody has asked for
// are not read, and packed ones are not judged.
func (d *Document) judgeRequest(op *operation, r *http.Request, body []byte) []error {
	if op.body == nil || r.Header.Get("Content-Encoding") != "" {
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if op.body["required"] == true {
			return []error{errors.New("no body was accepted, and the document requires one")}
		}
		return nil
	}
	return d.judgeJSON(op.pointer+pointer("requestBody", "content", "application/json", "schema"), body)
}
