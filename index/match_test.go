package index_test

import (
	"testing"
	"time"

	"github.com/sluicelog/sluice/index"
)

// known is an event as far as Matches asks.
type known map[index.Term]bool

func (k known) has(t index.Term) bool { return k[t] }

func TestMatches(t *testing.T) {
	event := known{}
	for _, term := range []struct {
		field index.Field
		value string
	}{
		{index.FieldType, "team.create"}, {index.FieldCategory, "team"}, {index.FieldActor, "Octocat"},
		{index.FieldNamespace, "acme/shop"}, {index.FieldNamespace, "acme"},
		{index.FieldWord, "force"}, {index.FieldWord, "push"},
	} {
		event[index.NewTerm(term.field, term.value)] = true
	}
	at := time.Date(2024, 1, 31, 23, 59, 59, 999e6, time.UTC)
	tests := []struct {
		phrase string
		want   bool
	}{
		{"", true},
		{"action:team", true},
		{"action:team.create", true},
		{"type:team", false},
		{"-action:team", false},
		{"actor:hubot actor:octocat", true},
		{"actor:hubot AND actor:octocat", false},
		{"actor:octocat -actor:hubot", true},
		{"actor:octocat user:octocat", false},
		{"namespace:acme", true},
		{"namespace:acme/shop", true},
		{"namespace:acme/sho", false},
		{"force push", true},
		{"force pull", false},
		{"pull OR push", true},
		{"-pull -push", false},
		{`-"force push"`, false},
		{`-"force pull"`, true},
		{"id:7", true},
		{"id:8", false},
		{"-id:8", true},
		{"created:2024-01-31", true},
		{"created:<=2024-01-31T23:59:59Z", true},
		{"created:<2024-01-31T23:59:59Z", false},
		{"created:>2024-01-31", false},
		{"-created:2024-01-31", false},
		{"created:2024-01-01 created:2024-01-31", true},
		{"created:>=2024-01-01 AND created:<2024-01-31", false},
	}
	for _, tt := range tests {
		clauses, err := index.ParsePhrase(tt.phrase)
		if err != nil {
			t.Fatal(err)
		}
		if got := index.Matches(clauses, event.has, "7", at); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.phrase, got, tt.want)
		}
	}
}

func TestQueryMatches(t *testing.T) {
	event := known{index.NewTerm(index.FieldNamespace, "acme"): true}
	accepted := time.Date(2024, 1, 31, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		query index.Query
		want  bool
	}{
		{"no scope", index.Query{}, false},
		{"everything", index.Query{Scope: index.Everything()}, true},
		{"tenant", index.Query{Scope: index.Below("Acme")}, true},
		{"other tenant", index.Query{Scope: index.Below("acm")}, false},
		{"one of several", index.Query{Scope: index.Below("globex", "Acme")}, true},
		{"none of several", index.Query{Scope: index.Below("globex", "acm")}, false},
		{"none", index.Query{Scope: index.Below()}, false},
		{"everything is not among several", index.Query{Scope: index.Below("acme", "")}, false},
		{"an empty name is no scope", index.Query{Scope: index.Below("")}, false},
		{"accepted later", index.Query{Scope: index.Everything(), Accepted: index.Range{From: accepted.Add(1)}}, false},
		{"accepted then", index.Query{Scope: index.Everything(), Accepted: index.Range{From: accepted, To: accepted.Add(1)}}, true},
		{"clause", index.Query{Scope: index.Everything(), Clauses: []index.Clause{{}}}, false},
	}
	for _, tt := range tests {
		if got := tt.query.Matches(event.has, "7", time.Time{}, accepted); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNextWord(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", nil},
		{" -- !", nil},
		{"pre-receive_hook", []string{"pre", "receive", "hook"}},
		{"Änderung: हिन्दी x2 東京\xff4", []string{"Änderung", "हिन्दी", "x2", "東京", "4"}},
		{`{"a":"b"}`, []string{"a", "b"}},
	}
	for _, tt := range tests {
		var got []string
		for word, rest := index.NextWord(tt.text); word != ""; word, rest = index.NextWord(rest) {
			got = append(got, word)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
			}
		}
	}
}
