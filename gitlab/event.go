package gitlab

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Events have integer ids here: the number in the log, and below it that of the
// partition. Only audit events are listed, as at GitLab: Git operations are not
// stored there.
const (
	partitions     = 4096
	auditPartition = 0
)

var errNoID = bad("audit_event_id is invalid")

func eventID(seq uint64) int64 { return int64(seq*partitions + auditPartition) }

// seqOf returns the number of the event with an id.
func seqOf(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, errNoID
	}
	if id%partitions != auditPartition || id < partitions {
		return 0, errNotFound
	}
	return id / partitions, nil
}

// entity is an event in GitLab's form.
type entity struct {
	ID         int64          `json:"id"`
	AuthorID   int64          `json:"author_id"`
	EntityID   int64          `json:"entity_id"`
	EntityType string         `json:"entity_type"`
	EventName  string         `json:"event_name"`
	Details    map[string]any `json:"details"`
	CreatedAt  time.Time      `json:"created_at"`
}

// present puts an event of either vocabulary into GitLab's form. Clients want
// integers for ids and text for most details; what is neither is written as text.
func present(e *control.FoundEvent) entity {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(e.Event, &members) // the log holds JSON objects only
	var scanner sluice.Scanner
	_, env, _, err := scanner.Scan(nil, e.Event)
	out := entity{ID: eventID(e.Seq), EventName: string(env.Type), EntityType: string(env.Kind), CreatedAt: env.Time}
	if err != nil || out.CreatedAt.IsZero() {
		out.CreatedAt = e.AcceptedAt
	}
	out.CreatedAt = out.CreatedAt.UTC().Truncate(time.Millisecond)
	out.AuthorID = number(members, -1, "author_id", "actor_id")
	out.EntityID = number(members, 0, "entity_id", "repo_id", "repository_id", "org_id", "business_id")
	out.Details = details(members, string(env.Actor), e.Namespace)
	return out
}

// details are those of the event, and what GitLab shows nowhere else.
func details(members map[string]json.RawMessage, actor, path string) map[string]any {
	out := map[string]any{}
	var own map[string]json.RawMessage
	if json.Unmarshal(members["details"], &own) == nil {
		for name, value := range own {
			out[name] = detail(name, value)
		}
	}
	for name, from := range map[string][]string{
		"target_id": {"target_id"}, "target_type": {"target_type"}, "target_details": {"target_details", "repo", "user", "team"},
		"ip_address": {"ip_address", "actor_ip"}, "custom_message": {"custom_message", "message", "action"},
	} {
		for _, member := range from {
			if value, ok := members[member]; ok && out[name] == nil {
				out[name] = detail(name, value)
			}
		}
	}
	for name, value := range map[string]string{"author_name": actor, "entity_path": path} {
		if out[name] == nil {
			out[name] = value
		}
	}
	return out
}

// textDetails are the details that clients take as text alone.
var textDetails = []string{"with", "add", "as", "change", "from", "to", "remove", "custom_message", "author_name", "author_email", "author_class",
	"target_type", "target_details", "ip_address", "entity_path", "failed_login", "event_name"}

// detail returns a detail as clients take it.
func detail(name string, value json.RawMessage) any {
	if !slices.ContainsFunc(textDetails, func(text string) bool { return strings.EqualFold(text, name) }) {
		return value
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// number returns the first of some members that is an integer, as a number or as
// text.
func number(members map[string]json.RawMessage, none int64, names ...string) int64 {
	for _, name := range names {
		text := string(bytes.Trim(members[name], `"`))
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
			return n
		}
	}
	return none
}
