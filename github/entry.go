package github

import (
	"encoding/json"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// entry is an event in GitHub's form.
type entry map[string]json.RawMessage

// clientSeconds is the year 3000 in seconds. Clients take a number up to there for
// seconds and any other for milliseconds, so that times before 1971 come out wrong,
// or break the whole page.
const clientSeconds = 32_503_680_000

// present puts an event of either vocabulary into GitHub's form: all its members,
// and what clients rely on besides. Members whose type or number the official client
// does not take are left out; the native API has each event as it was accepted.
func present(e *control.FoundEvent) entry {
	out := entry{}
	_ = json.Unmarshal(e.Event, &out) // the log holds JSON objects only
	var scanner sluice.Scanner
	_, env, _, err := scanner.Scan(nil, e.Event)
	at := e.AcceptedAt
	if err == nil && !env.Time.IsZero() && env.Time.UnixMilli() > clientSeconds {
		at = env.Time
	}
	for name := range out {
		if !takes(name, out[name]) {
			delete(out, name)
		}
	}
	millis := value(at.UnixMilli())
	out["created_at"], out["@timestamp"] = millis, millis
	out.fill("_document_id", string(env.ID))
	out.fill("action", string(env.Type))
	out.fill("actor", string(env.Actor))
	parts := strings.Split(e.Namespace, "/")
	out.fill("business", parts[0])
	if len(parts) > 1 {
		out.fill("org", parts[1])
	}
	if len(parts) > 2 && string(env.Kind) == sluice.KindProject {
		out.fill("repo", strings.Join(parts[1:], "/"))
	}
	return out
}

// fill adds a member that is missing, unless it would be empty.
func (e entry) fill(name, text string) {
	if e[name] == nil && text != "" {
		e[name] = value(text)
	}
}

func value(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

// takes reports whether clients can read a member with this value.
func takes(name string, v json.RawMessage) bool {
	switch foldMember(name) {
	case "action", "actor", "business", "_document_id", "external_identity_nameid", "external_identity_username", "hashed_token", "token_scopes", "user":
		return is[*string](v)
	case "org":
		return is[*string](v) || is[[]string](v)
	case "org_id":
		return is[*int64](v) || is[[]int64](v)
	case "actor_id", "business_id", "token_id", "user_id":
		return is[*int64](v)
	case "data":
		return is[map[string]any](v)
	case "actor_location":
		return is[struct {
			Code *string `json:"country_code"`
		}](v)
	case "created_at", "@timestamp":
		return false // set anew
	}
	return is[any](v) // no number is beyond what they hold
}

// foldMember returns the name of the typed member that a name stands for: clients
// in Go read names without regard to case.
func foldMember(name string) string {
	for _, typed := range []string{"action", "actor", "business", "_document_id", "external_identity_nameid", "external_identity_username", "hashed_token",
		"token_scopes", "user", "org", "org_id", "actor_id", "business_id", "token_id", "user_id", "data", "actor_location", "created_at", "@timestamp"} {
		if strings.EqualFold(name, typed) {
			return typed
		}
	}
	return name
}

// is reports whether a value is read into a T.
func is[T any](v json.RawMessage) bool {
	var t T
	return json.Unmarshal(v, &t) == nil
}
