package web

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

// Most that a page shows of an event.
const (
	rowText  = 200      // characters of what it says
	rowName  = 100      // characters of a name
	rowJSON  = 3 << 10  // bytes of its JSON, in the list
	pageJSON = 96 << 10 // bytes of its JSON, on its own page
)

// eventMembers are the members of an event, in both vocabularies, that a row shows.
// Of several the first that has a text counts; what stands behind a dot is within
// the member before it. Actor, type and time are in the envelope; the script that
// follows new events reads them here.
type eventMembers struct {
	Actor   []string `json:"actor"`
	Type    []string `json:"type"`
	Time    []string `json:"time"`
	Message []string `json:"message"`
	Target  []string `json:"target"`
	Address []string `json:"address"`
	Country []string `json:"country"`
	// Words are what types are called.
	Words map[string]string `json:"words"`
}

func membersOfEvents() eventMembers {
	return eventMembers{
		Actor:   []string{"author_name", "actor"},
		Type:    []string{"event_type", "action"},
		Time:    []string{"created_at", "@timestamp"},
		Message: []string{"custom_message", "message", "details.custom_message"},
		Target:  []string{"target_details", "details.target_details", "user", "team", "name", "details.target_id"},
		Address: []string{"ip_address", "actor_ip", "details.ip_address"},
		Country: []string{"actor_location.country_code", "country_code"},
		Words:   map[string]string{"git.push": "Pushed", "git.clone": "Cloned", "git.fetch": "Fetched", "repository_git_operation": "Used a repository with Git"},
	}
}

// eventRow is what the list shows of an event.
type eventRow struct {
	Name    string // in the address of its page, and of its element
	Address string // of its page
	At      time.Time
	Actor   string // "" is not known
	Words   string // what happened
	Type    string
	Target  string
	Path    string // where, "" for the installation
	IP      string
	Country string
	Source  string // its name
	// SourceID is the token's id, or "sluice".
	SourceID string
	JSON     string
	Cut      bool   // JSON is not all of it
	Links    []link // to what is like it
}

// TypeShown is the type as pages show it.
func (r eventRow) TypeShown() string { return plain(r.Type, rowName) }

// PathShown is the path as pages show it.
func (r eventRow) PathShown() string { return plain(r.Path, rowText) }

// link leads to another view of the log.
type link struct {
	Label, Address string
	Current        bool // it is the view that is shown
}

// eventName names an event in addresses.
func eventName(e *control.FoundEvent) string {
	return e.Partition + "-" + strconv.FormatUint(e.Seq, 10)
}

// parseEventName reads what eventName wrote.
func parseEventName(name string) (partition string, seq uint64, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(name[i+1:], 10, 64)
	return name[:i], seq, err == nil && name[i+1:] == strconv.FormatUint(seq, 10)
}

// readEvent returns what is shown of an event, with so many bytes of its JSON.
func readEvent(root string, q logQuery, e *control.FoundEvent, limit int) eventRow {
	var scanner sluice.Scanner
	scanner.MaxEvent = max(len(e.Event), 1)
	_, env, _, err := scanner.Scan(nil, e.Event)
	row := eventRow{Name: eventName(e), At: e.AcceptedAt, Path: e.Namespace, Source: e.Source, SourceID: e.Source, Type: string(env.Type), Actor: plain(string(env.Actor), rowName)}
	row.Address = root + "/audit-log/" + row.Name
	if err == nil && !env.Time.IsZero() {
		row.At = env.Time.UTC()
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(e.Event, &members) // the log holds JSON objects only
	use := membersOfEvents()
	row.Words = plain(textIn(members, use.Message), rowText)
	if row.Words == "" {
		row.Words = plain(inWords(row.Type), rowText)
	}
	row.Target = plain(textIn(members, use.Target), rowName)
	row.IP, row.Country = plain(textIn(members, use.Address), rowName), plain(textIn(members, use.Country), rowName)
	row.JSON, row.Cut = pretty(e.Event, limit)
	row.Links = likeIt(root, q, &row, string(env.Actor))
	return row
}

// textIn returns the first text among some members.
func textIn(members map[string]json.RawMessage, names []string) string {
	for _, name := range names {
		outer, inner, nested := strings.Cut(name, ".")
		value := members[outer]
		if nested {
			var within map[string]json.RawMessage
			if len(value) == 0 || value[0] != '{' || json.Unmarshal(value, &within) != nil {
				continue
			}
			value = within[inner]
		}
		if text := textOf(value); text != "" {
			return text
		}
	}
	return ""
}

// textOf returns a string, the digits of a number, or the first of an array.
func textOf(value json.RawMessage) string {
	if len(value) == 0 {
		return ""
	}
	switch c := value[0]; {
	case c == '"':
		var text string
		_ = json.Unmarshal(value, &text) // it is a string
		return strings.TrimSpace(text)
	case c == '-' || '0' <= c && c <= '9':
		return string(value)
	case c == '[':
		var list []json.RawMessage
		if json.Unmarshal(value, &list) == nil && len(list) > 0 && list[0][0] != '[' {
			return textOf(list[0])
		}
	}
	return ""
}

// inWords makes words of a type.
func inWords(eventType string) string {
	if words, ok := membersOfEvents().Words[eventType]; ok {
		return words
	}
	words := strings.NewReplacer(".", " ", "_", " ").Replace(eventType)
	return strings.TrimSuffix(sentence(words), ".")
}

// likeIt are the views of events that have something in common with one.
func likeIt(root string, q logQuery, row *eventRow, actor string) []link {
	var out []link
	add := func(label string, change func(*logQuery)) {
		out = append(out, link{Label: label, Address: q.with(root, change)})
	}
	if actor != "" {
		add("By "+row.Actor, func(q *logQuery) { q.Author = actor })
	}
	add("Of this type", func(q *logQuery) { q.Type = row.Type })
	if row.Path != "" {
		add("In "+plain(row.Path, rowName), func(q *logQuery) { q.and(qualified("namespace", row.Path)) })
	}
	if _, err := netip.ParseAddr(row.IP); err == nil {
		add("From "+row.IP, func(q *logQuery) { q.and(qualified("ip", row.IP)) })
	}
	return out
}
