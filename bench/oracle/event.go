package oracle

import (
	"bytes"
	"strconv"
	"strings"
)

// number names an event that the oracle issued, and says all about it: its
// serial number, who posts it, and whether it is posted without an id.
//
//	serial << 4 | producer << 1 | keyed
type number uint64

const maxProducers = 8

func newNumber(serial uint64, producer int, keyed bool) number {
	n := serial<<4 | uint64(producer)<<1
	if keyed {
		n |= 1
	}
	return number(n)
}

func (n number) serial() uint64 { return uint64(n) >> 4 }
func (n number) producer() int  { return int(n >> 1 & (maxProducers - 1)) }

// keyed reports whether the server makes the event's id, of an idempotency key.
func (n number) keyed() bool { return n&1 == 1 }

// tenants are the top-level namespaces; a producer posts for one of them.
func tenants() []string { return []string{"alpha", "beta", "gamma"} }

func (n number) tenant() string { return tenants()[n.producer()%len(tenants())] }

// traits are what an event's fate may depend on.
type traits struct {
	tenant    string
	namespace string // as the payload spells it
	kind      string // event type
	git       bool
}

// class returns 0 for audit and 1 for Git events.
func (t *traits) class() int {
	if t.git {
		return 1
	}
	return 0
}

// maker makes events of numbers.
type maker struct{ seed uint64 }

// mix spreads x over 64 bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (m maker) hash(n number, salt uint64) uint64 { return mix(m.seed ^ mix(uint64(n)^salt<<56)) }

var (
	auditTypes = [...]string{"user.add", "user.remove", "project.create", "member.update", "repo.change_visibility"}
	gitTypes   = [...]string{"git.push", "git.push", "git.clone", "repository_git_operation"}
	below      = [...]string{"", "/web", "/web/shop", "/WEB/Shop/cart", "/website", "/api"}
)

func (m maker) traits(n number) traits {
	h := m.hash(n, 1)
	t := traits{tenant: n.tenant(), git: h&3 == 0}
	t.kind = auditTypes[h>>8%uint64(len(auditTypes))]
	if t.git {
		t.kind = gitTypes[h>>8%uint64(len(gitTypes))]
	}
	t.namespace = t.tenant + below[h>>16%uint64(len(below))]
	return t
}

// marker stands in front of the number in every payload of the oracle.
var marker = []byte(`"oracle":`)

// padding is what payloads are filled up with: text that a careless server would
// change.
const padding = `a\u0062c é 漢字 \"quoted\" \\ / \/ <&> 1e400 \ud83d\ude00 — `

// appendEvent appends the event: as it is stored, or as it is posted, with white
// space, which is taken out on the way. id is put in front unless it is empty.
func (m maker) appendEvent(dst []byte, n number, id string, posted bool) []byte {
	t := m.traits(n)
	h := m.hash(n, 2)
	space := posted && h&1 == 0
	dst = append(dst, '{')
	field := func(name, value string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		if space {
			dst = append(dst, ' ', '\t')
		}
		dst = append(dst, '"')
		dst = append(append(dst, name...), '"', ':')
		dst = append(dst, value...)
	}
	if id != "" {
		field("id", `"`+id+`"`)
	}
	field("event_type", `"`+t.kind+`"`)
	field("oracle", strconv.FormatUint(uint64(n), 10))
	field("entity_path", `"`+t.namespace+`"`)
	field("author_name", `"someone"`)
	field("created_at", `"2026-01-31T12:00:00.`+strconv.Itoa(100+int(h>>8%900))+`Z"`)
	field("big", "12345678901234567890.1230e+2")
	field("text", `"`+strings.Repeat(padding, int(h>>32%12))+`"`)
	return append(dst, '}')
}

// ownID is the id of an event that is posted with one.
func ownID(n number) string { return "o-" + strconv.FormatUint(uint64(n), 10) }

// numberOf finds the number in a payload; ok is false when the oracle did not
// make it.
func numberOf(payload []byte) (n number, ok bool) {
	i := bytes.Index(payload, marker)
	if i < 0 {
		return 0, false
	}
	v := uint64(0)
	for _, c := range payload[i+len(marker):] {
		if c < '0' || c > '9' {
			break
		}
		v = v*10 + uint64(c-'0')
		ok = true
	}
	return number(v), ok
}

// idFront is how a payload begins whose id was made by the server; 36 characters
// and a quote follow.
const idFront = `{"id":"`

const madeID = 36 // characters of an id that the server makes

// frontID returns the id at the front of a payload that the server completed.
func frontID(payload []byte) (string, bool) {
	end := len(idFront) + madeID
	if len(payload) <= end || !bytes.HasPrefix(payload, []byte(idFront)) || payload[end] != '"' {
		return "", false
	}
	return string(payload[len(idFront):end]), true
}

// filter is a stream's filter, as the API takes it.
type filter struct {
	Types      []string `json:"event_types"`
	Excluded   []string `json:"excluded_event_types"`
	Namespaces []string `json:"namespaces"`
}

// wants evaluates the filter for an event of a type and namespace.
func (f *filter) wants(kind, namespace string) bool {
	has := func(list []string, s string) bool {
		for _, x := range list {
			if x == s {
				return true
			}
		}
		return false
	}
	if len(f.Types) > 0 && !has(f.Types, kind) || has(f.Excluded, kind) {
		return false
	}
	if len(f.Namespaces) == 0 {
		return true
	}
	path := strings.ToLower(namespace) + "/"
	for _, n := range f.Namespaces {
		if strings.HasPrefix(path, strings.ToLower(n)+"/") {
			return true
		}
	}
	return false
}
