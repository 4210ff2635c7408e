package five

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// events is how many events are posted.
const events = 10_000

// Every kind that can refuse a single event refuses poisoned ones: one of this
// many events.
const poisonEvery = 1000

// poisonOf returns the kind that refuses event n, "" for nearly all events.
func poisonOf(n int) string {
	switch n % poisonEvery {
	case 137:
		return kindHTTP
	case 311:
		return kindSplunk
	case 312: // beside the one before
		return kindEventHubs
	case 839:
		return kindCloudLogging
	}
	return ""
}

// mark returns what stands in an event that a kind refuses, and in no other.
func mark(kind string) []byte { return []byte(`"refused_by":"` + kind + `"`) }

// padding fills events: text that a careless sender would change.
const padding = `a\u0062c é 漢字 \"quoted\" \\ / \/ <&> 1e400 \ud83d\ude00 — `

// canary stands in every event; the server's log never has it.
const canary = "never-in-the-log"

// beyond is an integer that a double does not hold; every seventh event has it.
const beyond = `12345678901234567891`

// make returns event n as it is posted: without white space, so that it is stored
// as it is. Without an id the server puts one in front.
func makeEvent(n int, id string) []byte {
	b := []byte{'{'}
	if id != "" {
		b = fmt.Appendf(b, `"id":%q,`, id)
	}
	kind, path := "user.add", "acme/web"
	switch n % 5 {
	case 1:
		kind, path = "git.push", "acme/web/shop"
	case 3:
		kind, path = "repo.change_visibility", "acme"
	}
	b = fmt.Appendf(b, `"event_type":%q,"five":%d,"entity_path":%q,"author_name":%q,"created_at":"2026-01-31T12:00:%02d.%03dZ"`,
		kind, n, path, canary, n/1000%60, n%1000)
	if n%7 == 0 {
		b = append(b, `,"beyond":`+beyond...)
	}
	if by := poisonOf(n); by != "" {
		b = append(append(b, ','), mark(by)...)
	}
	return append(b, `,"text":"`+strings.Repeat(padding, n%11)+`"}`...)
}

// stored returns event n as a receiver of a kind gets it.
func stored(n int, id, kind string) []byte {
	b := makeEvent(n, id)
	if kind == kindCloudLogging {
		// Google keeps numbers as doubles; docs/destinations/cloudlogging.md says so.
		b = bytes.Replace(b, []byte(`"beyond":`+beyond), []byte(`"beyond":"`+beyond+`"`), 1)
	}
	return b
}

var numberMark = []byte(`"five":`)

// numberOf finds the number in an event; ok is false for events that the server
// wrote about itself.
func numberOf(payload []byte) (n int, ok bool) {
	_, rest, ok := bytes.Cut(payload, numberMark)
	if !ok {
		return 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte{','})
	n, err := strconv.Atoi(string(digits))
	return n, err == nil && n >= 0 && n < events
}

// request is events that are posted together.
type request struct {
	first, count int
	key          string // "" for events with ids
}

// keyed requests leave the ids to the server.
func (r *request) body() []byte {
	var b []byte
	for n := r.first; n < r.first+r.count; n++ {
		id := ""
		if r.key == "" {
			id = ownID(n)
		}
		b = append(append(b, makeEvent(n, id)...), '\n')
	}
	return b
}

func ownID(n int) string { return "five-" + strconv.Itoa(n) }

// requests cuts all events into requests of 1 to 120.
func requests() []request {
	var list []request
	for first := 0; first < events; {
		r := request{first: first, count: min(1+len(list)*37%120, events-first)}
		if len(list)%3 == 0 {
			r.key = "request-" + strconv.Itoa(len(list))
		}
		list = append(list, r)
		first += r.count
	}
	return list
}
