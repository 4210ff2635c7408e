package indextest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/sluicelog/sluice/index"
)

// Start is when the events of a corpus begin, in microseconds since 1970: two
// hours before a midnight.
const Start = 1_714_946_400_000_000

// Events makes n events of both vocabularies by chance, with numbers above after:
// some are missing, many share their time of acceptance, and their own times go
// back and forth by hours.
func Events(r *rand.Rand, after uint64, n int) []index.Event {
	events := make([]index.Event, n)
	seq, accepted := after, Start+int64(after)*20_000_000
	for i := range events {
		seq++
		switch r.IntN(20) {
		case 0:
			seq += uint64(1 + r.IntN(5))
		case 1, 2, 3:
			accepted += int64(r.IntN(90_000_000))
		}
		e := index.Event{Seq: seq, Accepted: accepted, Time: accepted}
		if r.IntN(4) > 0 {
			e.Time += r.Int64N(7_200_000_000) - 3_600_000_000
		}
		if r.IntN(2) == 0 {
			gitlab(r, &e)
		} else {
			github(r, &e)
		}
		events[i] = e
	}
	return events
}

// pick returns one of the words, the first ones more often.
func pick(r *rand.Rand, words string) string {
	list := strings.Fields(words)
	return list[min(r.IntN(len(list)), r.IntN(len(list)))]
}

// Vocabulary of the corpus: small, so that queries find something.
const (
	namespaces = "acme acme/web acme/web/shop acme/Web/shop acme/website globex globex/ops other"
	people     = "nadia Nadia mira root deploy-bot J\\u00f6rg \u00d6zg\u00fcr"
	wordList   = "approved merge request token Rotated pre-receive_hook \u00dcbergabe \\u00dcbergabe \u65e5\u672c\u8a9e added removed user42"
	addresses  = "192.0.2.1 192.0.2.14 2001:db8::1"
	countries  = "NG US DE"
)

// message returns a text of some words.
func message(r *rand.Rand) string {
	words := make([]string, 1+r.IntN(8))
	for i := range words {
		words[i] = pick(r, wordList)
	}
	return strings.Join(words, []string{" ", ", ", "-", "\\n", "/"}[r.IntN(5)])
}

func gitlab(r *rand.Rand, e *index.Event) {
	e.Type = pick(r, "member_created repository_git_operation project_destroyed")
	e.Namespace = pick(r, namespaces)
	e.Source = pick(r, "tok-1 tok-2 sluice")
	id := fmt.Sprint(r.IntN(3000))
	e.ID = []byte(id)
	kind := pick(r, "Project Group User")
	custom := `"` + message(r) + `"`
	if r.IntN(3) == 0 {
		custom = `{"protocol":"ssh","action":"git-` + pick(r, "upload receive") + `-pack","more":["` + message(r) + `"]}`
	}
	e.Payload = fmt.Appendf(nil, `{"id":%s,"author_id":%d,"entity_id":%d,"entity_type":%q,"details":{"author_name":"%s","target_id":%d,`+
		`"target_details":"%s","custom_message":%s,"ip_address":%q,"system_event":false,"nested":{"actor":"nobody","deep":[1,{"user":"x"}]}},`+
		`"ip_address":%q,"author_name":"%s","entity_path":%q,"created_at":"2024-05-06T07:08:09.123Z","event_type":%q}`,
		id, r.IntN(5)-2, r.IntN(40), kind, pick(r, people), r.IntN(9), message(r), custom, pick(r, addresses),
		pick(r, addresses), pick(r, people), e.Namespace, e.Type)
}

func github(r *rand.Rand, e *index.Event) {
	e.Type = pick(r, "repo.create repo.destroy git.clone team.add_member org.update_member")
	e.Namespace = pick(r, namespaces)
	e.Source = pick(r, "tok-1 tok-2 sluice")
	id := fmt.Sprintf("doc-%d", r.IntN(3000))
	e.ID = []byte(id)
	actor := `"` + pick(r, people) + `"`
	if r.IntN(5) == 0 {
		actor = `["` + pick(r, people) + `","` + pick(r, people) + `",null,7]`
	}
	repo := ""
	if r.IntN(2) == 0 {
		repo = fmt.Sprintf(`"repo":%q,"repo_id":[%d,%d],`, pick(r, "web/shop Web/shop web/bill ops/tool"), r.IntN(9), r.IntN(9))
	}
	e.Payload = fmt.Appendf(nil, `{"@timestamp":1714979290001,"_document_id":%q,"action":%q,"actor":%s,"actor_id":%d,"actor_ip":%q,`+
		`"actor_location":{"country_code":%q},"business":%q,"org":["web","ops"],%s"operation_type":%q,"user":"%s","hashed_token":"Q%d=",`+
		`"oauth_application_id":%d,"note":"%s","visibility":null,"unknown":{"note":"never"}}`,
		id, e.Type, actor, r.IntN(30), pick(r, addresses), pick(r, countries), strings.Split(e.Namespace, "/")[0], repo,
		pick(r, "create modify remove"), pick(r, people), r.IntN(9), r.IntN(4), message(r))
}
