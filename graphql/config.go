package graphql

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// config are the members of the configurations of streams that GitLab knows.
type config struct {
	URL         string         `json:"url"`
	Headers     []headerConfig `json:"headers"`
	ProjectID   string         `json:"project_id"`
	ClientEmail string         `json:"client_email"`
	LogID       string         `json:"log_id"`
	Bucket      string         `json:"bucket"`
	Region      string         `json:"region"`
	AccessKeyID string         `json:"access_key_id"`
}

type headerConfig struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Active bool   `json:"active"`
}

// object is what becomes a JSON object.
type object map[string]any

// category is GitLab's name of a kind. Kinds that GitLab has not keep theirs.
func category(kind string) string {
	switch kind {
	case kindGCP:
		return "gcp"
	case kindS3:
		return "aws"
	}
	return kind
}

// kindOf returns the kind that a category means. The names of GitLab's pages are
// understood, too.
func kindOf(category string) (string, error) {
	switch category {
	case "http":
		return kindHTTP, nil
	case "gcp", "gcpLogging":
		return kindGCP, nil
	case "aws", "amazonS3":
		return kindS3, nil
	}
	return "", sluice.Errorf(sluice.Invalid, "category must be http, gcp or aws").
		WithHint("streams to other kinds of destinations are created by Sluice's own API")
}

// secretName is the secret of a kind that GitLab calls the secret token.
func secretName(kind string) string {
	switch kind {
	case kindHTTP:
		return "verification_token"
	case kindGCP:
		return "private_key"
	case kindS3:
		return "secret_access_key"
	}
	return ""
}

// show returns the configuration with GitLab's names; that of other kinds as it is.
func (c *config) show(s control.Stream) any {
	switch s.Kind {
	case kindHTTP:
		out := object{"url": c.URL}
		headers := object{}
		for _, h := range c.Headers {
			headers[h.Name] = object{"value": h.Value, "active": h.Active}
		}
		if len(headers) > 0 {
			out["headers"] = headers
		}
		return out
	case kindGCP:
		return object{"googleProjectIdName": c.ProjectID, "clientEmail": c.ClientEmail, "logIdName": c.LogID}
	case kindS3:
		return object{"accessKeyXid": c.AccessKeyID, "bucketName": c.Bucket, "awsRegion": c.Region}
	}
	return s.Config
}

// members are the names of a configuration: GitLab's and the stream's.
func members(kind string) map[string]string {
	switch kind {
	case kindHTTP:
		return map[string]string{"url": "url", "headers": "headers"}
	case kindGCP:
		return map[string]string{"googleProjectIdName": "project_id", "clientEmail": "client_email", "logIdName": "log_id"}
	case kindS3:
		return map[string]string{"accessKeyXid": "access_key_id", "bucketName": "bucket", "awsRegion": "region"}
	}
	return nil
}

// readConfig turns a configuration as GitLab has it, an object or the text of
// one, into that of a stream. It stands for the whole: what is not there gets its
// default. Only a header that is there now and is sent without a value keeps its own.
func readConfig(kind string, d document, now []headerConfig) (json.RawMessage, error) {
	value := d.value
	if s, ok := value.(string); ok {
		value = nil
		if err := json.Unmarshal([]byte(s), &value); err != nil {
			return nil, sluice.Errorf(sluice.Invalid, "config must be a JSON object")
		}
	}
	sent, ok := value.(map[string]any)
	if !ok {
		return nil, sluice.Errorf(sluice.Invalid, "config must be a JSON object")
	}
	names := members(kind)
	if names == nil {
		return nil, sluice.Errorf(sluice.Unsupported, "the configuration of this category is changed by Sluice's own API")
	}
	out := object{}
	for _, own := range names {
		out[own] = nil
	}
	for name, v := range sent {
		own, known := names[name]
		if !known {
			return nil, sluice.Errorf(sluice.Invalid, "config has no field %q", shorten(name))
		}
		out[own] = v
	}
	if kind == kindGCP && out["log_id"] == nil {
		out["log_id"] = "audit-events"
	}
	if kind == kindHTTP {
		var err error
		if out["headers"], err = readHeaders(out["headers"], now); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// readHeaders turns an object of headers by name into a list. An object has no
// order: so a new header without a value must not be taken for the one whose place
// it has in the list, and get that one's value.
func readHeaders(v any, now []headerConfig) ([]object, error) {
	out := []object{}
	if v == nil {
		return out, nil
	}
	wrong := sluice.Errorf(sluice.Invalid, "config.headers must be an object").
		WithHint(`for example {"X-Key":{"value":"text","active":true}}`)
	headers, ok := v.(map[string]any)
	if !ok {
		return nil, wrong
	}
	for name, v := range headers {
		h, ok := v.(map[string]any)
		if !ok {
			return nil, wrong
		}
		one := object{"name": name, "active": true}
		for member, v := range h {
			if member != "value" && member != "active" {
				return nil, wrong
			}
			one[member] = v
		}
		if _, sent := h["value"]; !sent && !slices.ContainsFunc(now, func(h headerConfig) bool { return strings.EqualFold(h.Name, name) }) {
			one["value"] = ""
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b object) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return out, nil
}

// withoutNull leaves out the members that are null: a stream that is made has
// nothing to reset.
func withoutNull(raw json.RawMessage) (json.RawMessage, error) {
	var all object
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for name, v := range all {
		if v == nil {
			delete(all, name)
		}
	}
	return json.Marshal(all)
}
