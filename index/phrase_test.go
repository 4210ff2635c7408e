package index_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

func oneOf(field index.Field, values ...string) index.Clause {
	c := index.Clause{}
	for _, v := range values {
		c.Terms = append(c.Terms, index.NewTerm(field, v))
	}
	return c
}

func not(c index.Clause) index.Clause {
	c.Not = true
	return c
}

func during(ranges ...string) index.Clause {
	c := index.Clause{}
	for _, r := range ranges {
		from, to, _ := strings.Cut(r, " ")
		c.Ranges = append(c.Ranges, index.Range{From: moment(from), To: moment(to)})
	}
	return c
}

// moment reads an instant, "-" for none.
func moment(s string) time.Time {
	if s == "-" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestParsePhrase(t *testing.T) {
	team := index.Clause{Terms: []index.Term{{Field: index.FieldType, Value: "team"}, {Field: index.FieldCategory, Value: "team"}}}
	tests := []struct {
		phrase string
		want   []index.Clause
	}{
		{"", nil},
		{" \t\n", nil},
		{"action:team", []index.Clause{team}},
		{"action:Team.Create", []index.Clause{oneOf(index.FieldType, "team.create")}},
		{"type:team", []index.Clause{oneOf(index.FieldType, "team")}},
		{"-action:team", []index.Clause{not(team)}},
		{"actor:octocat", []index.Clause{oneOf(index.FieldActor, "octocat")}},
		{"ACTOR:OctoCat", []index.Clause{oneOf(index.FieldActor, "octocat")}},
		{"actor:octocat actor:Copilot", []index.Clause{oneOf(index.FieldActor, "copilot", "octocat")}},
		{"actor:a OR actor:b", []index.Clause{oneOf(index.FieldActor, "a", "b")}},
		{"actor:a AND actor:b", []index.Clause{oneOf(index.FieldActor, "a"), oneOf(index.FieldActor, "b")}},
		{"actor:a user:b", []index.Clause{oneOf(index.FieldActor, "a"), oneOf(index.FieldUser, "b")}},
		{"actor:a user:b actor:c", []index.Clause{oneOf(index.FieldActor, "a", "c"), oneOf(index.FieldUser, "b")}},
		{"-actor:a actor:b", []index.Clause{not(oneOf(index.FieldActor, "a")), oneOf(index.FieldActor, "b")}},
		{"-actor:a -actor:b", []index.Clause{not(oneOf(index.FieldActor, "a", "b"))}},
		{"NOT actor:a", []index.Clause{not(oneOf(index.FieldActor, "a"))}},
		{`actor:"Nadia \"JJ\" Okafor"`, []index.Clause{oneOf(index.FieldActor, `nadia "jj" okafor`)}},
		{`actor:"back\\slash"`, []index.Clause{oneOf(index.FieldActor, `back\slash`)}},
		{`actor:one\ name`, []index.Clause{oneOf(index.FieldActor, "one name")}},
		{`actor:"@me"`, []index.Clause{oneOf(index.FieldActor, "@me")}},
		{`actor:a\*`, []index.Clause{oneOf(index.FieldActor, "a*")}},
		{"actor:-x", []index.Clause{oneOf(index.FieldActor, "-x")}},
		{"actor:github-actions[bot]", []index.Clause{oneOf(index.FieldActor, "github-actions[bot]")}},
		{"repo:a/b repository:c/d/e", []index.Clause{oneOf(index.FieldRepo, "a/b", "c/d/e")}},
		{"country:de country_code:\"United States\"", []index.Clause{oneOf(index.FieldCountry, "de", "germany", "united states", "us")}},
		{"ip:192.0.2.1", []index.Clause{oneOf(index.FieldIP, "192.0.2.1")}},
		{"actor_ip:2001:DB8:0::1", []index.Clause{oneOf(index.FieldIP, "2001:db8:0::1", "2001:db8::1")}},
		{"ip:::ffff:192.0.2.1", []index.Clause{oneOf(index.FieldIP, "192.0.2.1", "::ffff:192.0.2.1")}},
		{`hashed_token:"EH4L8o6PfCqipALbL+BT62lyqUtnI7ql0SPbkaQnjv8="`, []index.Clause{oneOf(index.FieldToken, "EH4L8o6PfCqipALbL+BT62lyqUtnI7ql0SPbkaQnjv8=")}},
		{"namespace:Acme/Platform", []index.Clause{oneOf(index.FieldNamespace, "acme/platform")}},
		{"id:Nm4E id:7", []index.Clause{{IDs: []string{"7", "Nm4E"}}}},
		{"-id:7", []index.Clause{{Not: true, IDs: []string{"7"}}}},
		{"actor_id:-1 oauth_app_id:9", []index.Clause{oneOf(index.FieldActorID, "-1"), oneOf(index.FieldApp, "9")}},
		{"source:sluice target:billing", []index.Clause{oneOf(index.FieldSource, "sluice"), oneOf(index.FieldTarget, "billing")}},
		{"push Main push", []index.Clause{oneOf(index.FieldWord, "main"), oneOf(index.FieldWord, "push")}},
		{"push and main", []index.Clause{oneOf(index.FieldWord, "and"), oneOf(index.FieldWord, "main"), oneOf(index.FieldWord, "push")}},
		{"push OR pull main", []index.Clause{oneOf(index.FieldWord, "main"), oneOf(index.FieldWord, "pull", "push")}},
		{"push OR pull OR fetch", []index.Clause{oneOf(index.FieldWord, "fetch", "pull", "push")}},
		{`"force push"`, []index.Clause{oneOf(index.FieldWord, "force"), oneOf(index.FieldWord, "push")}},
		{"from:orgs#create", []index.Clause{oneOf(index.FieldWord, "create"), oneOf(index.FieldWord, "orgs")}},
		{`note:force`, []index.Clause{oneOf(index.FieldWord, "force")}},
		{`"OR"`, []index.Clause{oneOf(index.FieldWord, "or")}},
		{`"12:30"`, []index.Clause{oneOf(index.FieldWord, "12"), oneOf(index.FieldWord, "30")}},
		{"-force -push", []index.Clause{not(oneOf(index.FieldWord, "force", "push"))}},
		{"-pre-receive", []index.Clause{{Not: true, All: true, Terms: oneOf(index.FieldWord, "pre", "receive").Terms}}},
		{`-"x"`, []index.Clause{not(oneOf(index.FieldWord, "x"))}},
		{"grüße 東京", []index.Clause{oneOf(index.FieldWord, "grüße"), oneOf(index.FieldWord, "東京")}},
	}
	for _, tt := range tests {
		t.Run(tt.phrase, func(t *testing.T) {
			checkPhrase(t, tt.phrase, tt.want)
		})
	}
}

func checkPhrase(t *testing.T, phrase string, want []index.Clause) {
	t.Helper()
	got, err := index.ParsePhrase(phrase)
	if err != nil {
		t.Fatalf("got error %v, want %v", err, want)
	}
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	again, err := index.ParsePhrase(index.FormatPhrase(got))
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("got %+v, error %v, from %s; want %+v", again, err, index.FormatPhrase(got), got)
	}
}

func TestParsePhraseCreated(t *testing.T) {
	tests := []struct{ value, want string }{
		{"2024-01-31", "2024-01-31T00:00:00Z 2024-02-01T00:00:00Z"},
		{`"2024-01-31"`, "2024-01-31T00:00:00Z 2024-02-01T00:00:00Z"},
		{">2024-01-31", "2024-02-01T00:00:00Z -"},
		{">=2024-01-31", "2024-01-31T00:00:00Z -"},
		{"<2024-01-31", "- 2024-01-31T00:00:00Z"},
		{"<=2024-01-31", "- 2024-02-01T00:00:00Z"},
		{"2024-01-31..2024-02-29", "2024-01-31T00:00:00Z 2024-03-01T00:00:00Z"},
		{"2024-01-31..*", "2024-01-31T00:00:00Z -"},
		{"*..2024-01-31", "- 2024-02-01T00:00:00Z"},
		{"2024-01-31T10:20:30Z", "2024-01-31T10:20:30Z 2024-01-31T10:20:31Z"},
		{"2024-01-31t10:20:30z", "2024-01-31T10:20:30Z 2024-01-31T10:20:31Z"},
		{"2024-01-31T10:20Z", "2024-01-31T10:20:00Z 2024-01-31T10:21:00Z"},
		{"2024-01-31T10:20:30.5Z", "2024-01-31T10:20:30.5Z 2024-01-31T10:20:30.6Z"},
		{"<=2024-01-31T10:20:30.123Z", "- 2024-01-31T10:20:30.124Z"},
		{">=2024-01-31T10:20:30+02:00", "2024-01-31T08:20:30Z -"},
		{">2024-01-31T10:20:30+00:00", "2024-01-31T10:20:31Z -"},
		{"2024-01-31T23:00:00-05:30..2024-02-01", "2024-02-01T04:30:00Z 2024-02-02T00:00:00Z"},
		{"2024-01-01 created:2024-01-03", "2024-01-01T00:00:00Z 2024-01-02T00:00:00Z,2024-01-03T00:00:00Z 2024-01-04T00:00:00Z"},
		{"2024-01-02 created:2024-01-01", "2024-01-01T00:00:00Z 2024-01-03T00:00:00Z"},
		{"2024-01-01..2024-01-09 created_at:2024-01-03", "2024-01-01T00:00:00Z 2024-01-10T00:00:00Z"},
		{">2024-02-01 created:<2024-01-01", "- 2024-01-01T00:00:00Z,2024-02-02T00:00:00Z -"},
		{">=2024-02-01 created:>2024-01-01", "2024-01-02T00:00:00Z -"},
		{"9999-12-31", "9999-12-31T00:00:00Z -10000"},
		{">=1000-01-01", "1000-01-01T00:00:00Z -"},
		{"<1000-01-01", "- 1000-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			if from, ok := strings.CutSuffix(tt.want, " -10000"); ok {
				end := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
				checkPhrase(t, "created:"+tt.value, []index.Clause{{Ranges: []index.Range{{From: moment(from), To: end}}}})
				checkPhrase(t, "created:>"+tt.value, []index.Clause{{Ranges: []index.Range{{From: end}}}})
				return
			}
			checkPhrase(t, "created:"+tt.value, []index.Clause{during(strings.Split(tt.want, ",")...)})
		})
	}
}

func TestParsePhraseError(t *testing.T) {
	tests := []struct {
		phrase  string
		column  int
		message string // a part of it
		expect  string // a part of what is expected
	}{
		{"actr:octocat", 1, `no qualifier "actr"`, "actor:"},
		{"actor:a  -acton:b", 11, `no qualifier "acton"`, "action:"},
		{"author_name:a", 1, `no qualifier "author_name"`, "actor:"},
		{"event_type:a", 1, `no qualifier "event_type"`, "type:"},
		{"groups:a", 1, "no qualifier", "quotes around words"},
		{"grüße http://example.com", 7, `no qualifier "http"`, "quotes around words"},
		{"12:30", 1, `no qualifier "12"`, "quotes around words"},
		{":a", 1, "nothing stands before the colon", "a qualifier"},
		{"actor:", 7, `there is no value in "actor:"`, "right behind the colon"},
		{"actor: octocat", 7, `there is no value in "actor:"`, "right behind the colon"},
		{`actor:""`, 8, `there is no value in "actor:"`, "a value"},
		{`""`, 2, "the quotes are empty", "words"},
		{`actor:"octo`, 7, "the quote is not closed", "another quote"},
		{`"a"b`, 4, "right behind the quote", "a space"},
		{`actor:"a"b`, 10, "right behind the quote", "a space"},
		{`actor:a"b`, 8, "in the middle", `\"`},
		{`actor:a\`, 8, "nothing stands behind the backslash", `\\`},
		{`"a\`, 3, "nothing stands behind the backslash", `\\`},
		{"-", 2, "the dash excludes nothing", "a qualifier"},
		{"- actor:a", 2, "the dash excludes nothing", "a qualifier"},
		{"--actor:a", 2, "the dash excludes nothing", "one dash"},
		{"NOT -actor:a", 5, "excluded twice", "once"},
		{"NOT NOT a", 5, "excluded twice", "once"},
		{"actor:oct*", 10, "no patterns", "all of the word"},
		{"depl*", 5, "no patterns", "all of the word"},
		{"!?", 1, "no word", "letters or digits"},
		{"AND a", 1, "AND stands between nothing", "both sides"},
		{"a OR", 5, "nothing stands behind OR", "both sides"},
		{"a AND OR b", 7, "nothing stands behind AND", "both sides"},
		{"a NOT", 6, "nothing stands behind NOT", "both sides"},
		{"actor:a OR user:b", 12, "OR joins different things", "one qualifier"},
		{"-actor:a OR actor:b", 13, "OR joins different things", "one qualifier"},
		{"actor:a OR NOT actor:b", 16, "OR joins different things", "one qualifier"},
		{"actor:a OR b", 12, "OR joins different things", "one qualifier"},
		{`a OR "b c"`, 6, "OR joins several words", "a single word"},
		{`"b c" OR a`, 10, "OR joins several words", "a single word"},
		{"repo:billing", 6, "has no owner", "owner/name"},
		{"repo:/x", 6, "has no owner", "owner/name"},
		{"namespace:acme//x", 11, "empty segment", "acme/platform"},
		{"country:Atlantis", 9, `no country "Atlantis"`, "United States"},
		{"country:United States", 9, `no country "United"`, "United States"},
		{"ip:10.0.0.0/8", 4, "not an address", "ranges cannot be searched"},
		{"actor:@me", 7, "@me", "a name"},
		{"actor_id:>5", 10, "cannot be compared", "created:"},
		{"id:" + strings.Repeat("i", 256), 4, "id is too long", "255"},
		{"created:yesterday", 9, `"yesterday" is no day`, "2024-01-31"},
		{"created:>", 10, "is no day", "2024-01-31"},
		{"created:2024-02-30", 9, "is no day", "2024-01-31"},
		{"created:2024-1-1", 9, "is no day", "2024-01-31"},
		{"created:2024-01-31T10:00:00", 9, "in which zone", "Z"},
		{"created:2024-01-31T9:00:00Z", 9, "is no day", "Z"},
		{"created:2024-01-31T10:00:00.1234Z", 9, "finer than a millisecond", "Z"},
		{"created:0999-12-31", 9, "years 1000 to 9999", "2024-01-31"},
		{"created:2024-01-31..soon", 21, `"soon" is no day`, "2024-01-31"},
		{"created:..2024-01-31", 9, "is no day", "2024-01-31"},
		{"created:>>2024-01-31", 9, `no comparison ">>"`, ">="},
		{"created:*", 9, "no range", "FIRST..LAST"},
		{"created:*..*", 9, "no end", "FIRST..LAST"},
		{"created_at:[2017-01-01 TO *]", 12, "no range", "FIRST..LAST"},
		{"created:2024-02-01..2024-01-31", 9, "ends before it starts", "the earlier"},
		{"created:2024-01-31T10:00:01Z..2024-01-31T10:00:00Z", 9, "ends before it starts", "the earlier"},
		{"created:>=2024-01-01 created:<2024-02-01", 30, "all of time", "FIRST..LAST"},
		{"a \xff", 3, "not UTF-8", "UTF-8"},
		{strings.Repeat("é", 2049), 2049, "too long", "4096"},
		{strings.Repeat("a ", 100) + "bé c", 201, "too many", "100"},
		{strings.Repeat("id:1 ", 101), 501, "too many ids", "100"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.60q", tt.phrase), func(t *testing.T) {
			clauses, err := index.ParsePhrase(tt.phrase)
			e, ok := errors.AsType[*index.PhraseError](err)
			if !ok {
				t.Fatalf("got %v, error %v; want a PhraseError", clauses, err)
			}
			if e.Column != tt.column || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Expected, tt.expect) {
				t.Errorf("got column %d, %q, expected %q; want %d, %q, %q", e.Column, e.Message, e.Expected, tt.column, tt.message, tt.expect)
			}
			shown, ok := errors.AsType[*sluice.Error](err)
			if !ok || shown.Code != sluice.Invalid || !strings.Contains(shown.Message, fmt.Sprintf("column %d: ", tt.column)) || !strings.Contains(shown.Hint, e.Expected) {
				t.Errorf("got %+v, want an invalid one with column and hint", shown)
			}
		})
	}
}

// TestParsePhraseGitHub takes the examples of GitHub's documentation.
func TestParsePhraseGitHub(t *testing.T) {
	tests := []struct{ phrase, want string }{
		{`repo:"my-org/our-repo"`, "repo:my-org/our-repo"},
		{`repo:my-org\/our-repo`, "repo:my-org/our-repo"},
		{`repo:my-org/our-repo repo:my-org/another-repo`, "repo:my-org/another-repo repo:my-org/our-repo"},
		{`-repo:"my-org/not-this-repo"`, "-repo:my-org/not-this-repo"},
		{"actor:octocat actor:hubot", "actor:hubot actor:octocat"},
		{"-actor:hubot", "-actor:hubot"},
		{"actor:Copilot", "actor:copilot"},
		{"operation:authentication", "operation:authentication"},
		{"action:team", "action:team"},
		{"action:org.add_member", "type:org.add_member"},
		{"-action:billing", "-action:billing"},
		{"created:2014-07-08", "created:2014-07-08"},
		{"created:>=2014-07-08", "created:>=2014-07-08"},
		{"created:<=2014-07-08", "created:<=2014-07-08"},
		{"created:2014-07-01..2014-07-31", "created:2014-07-01..2014-07-31"},
		{"created:2012-04-30..*", "created:>=2012-04-30"},
		{"created:*..2012-07-04", "created:<=2012-07-04"},
		{"created:2017-01-01T01:00:00+07:00..2017-03-01T15:30:15+07:00", "created:2016-12-31T18:00:00Z..2017-03-01T08:30:15Z"},
		{"created:2016-03-21T14:11:00Z..2016-04-07T20:45:00Z", "created:2016-03-21T14:11:00Z..2016-04-07T20:45:00Z"},
		{"country:de", "country:de"},
		{"country:Mexico", "country:mx"},
		{`country:"United States"`, "country:us"},
		{`hashed_token:"qwerty"`, "hashed_token:qwerty"},
		{`repo:"octocat/Spoon-Knife" created:>=2017-01-01`, "created:>=2017-01-01 AND repo:octocat/spoon-knife"},
		{`repo:"octocat/Spoon-Knife" AND created_at:>=2017-01-01`, "created:>=2017-01-01 AND repo:octocat/spoon-knife"},
		{"action:hook.create OR action:hook.destroy", "type:hook.create type:hook.destroy"},
		{"action:team action:hook.create", "action:hook.create action:team"},
		{"org:my-org user:octocat actor_id:7 user_id:8 org_id:9 repo_id:1 business:b business_id:2 oauth_app_id:3 actor_ip:192.0.2.7",
			"actor_id:7 AND business:b AND business_id:2 AND ip:192.0.2.7 AND oauth_app_id:3 AND org:my-org AND org_id:9 AND repo_id:1 AND user:octocat AND user_id:8"},
	}
	for _, tt := range tests {
		t.Run(tt.phrase, func(t *testing.T) {
			clauses, err := index.ParsePhrase(tt.phrase)
			if got := index.FormatPhrase(clauses); err != nil || got != tt.want {
				t.Errorf("got %s, error %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestParsePhraseCountry(t *testing.T) {
	tests := []struct{ name, want string }{
		{"us", "us"}, {"UK", "gb"}, {"usa", "us"}, {"T1", "t1"}, {"Côte d'Ivoire", "ci"}, {"cote d’ivoire", "ci"},
		{"st lucia", "lc"}, {"St. Lucia", "lc"}, {"Trinidad & Tobago", "tt"}, {"The Gambia", "gm"}, {"Guinea Bissau", "gw"},
		{"guinea-bissau", "gw"}, {"GUINEA", "gn"}, {"Turkiye", "tr"}, {"türkiye", "tr"}, {"Virgin Islands (US)", "vi"}, {"Kosovo", "xk"},
	}
	for _, tt := range tests {
		clauses, err := index.ParsePhrase(fmt.Sprintf("country:%q", tt.name))
		if got := index.FormatPhrase(clauses); err != nil || got != "country:"+tt.want {
			t.Errorf("%s: got %s, error %v; want country:%s", tt.name, got, err, tt.want)
		}
	}
	for _, name := range []string{"é", "a?", "'"} {
		if clauses, err := index.ParsePhrase(fmt.Sprintf("country:%q", name)); err == nil {
			t.Errorf("%s: got %v, want an error", name, clauses)
		}
	}
}

func TestFormatPhraseOfOwnClauses(t *testing.T) {
	mixed := oneOf(index.FieldActor, "a")
	mixed.Terms = append(mixed.Terms, index.NewTerm(index.FieldUser, "b"), index.NewTerm(index.FieldWord, "c"))
	all := oneOf(index.FieldOrg, "a", "b")
	all.All = true
	tests := []struct {
		clause index.Clause
		want   string
	}{
		{mixed, "actor:a OR user:b OR c"},
		{not(mixed), "-actor:a -user:b -c"},
		{all, "org:a ALL org:b"},
		{oneOf(index.FieldCategory, "team"), "category:team"},
		{oneOf(index.FieldKind, "Project"), "entity_type:project"},
		{index.Clause{IDs: []string{`a "b"`}}, `id:"a \"b\""`},
		{during("2024-01-01T00:00:00.0000005Z 2024-01-01T00:00:01Z"), "created:2024-01-01T00:00:00.000000500Z..2024-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		if got := index.FormatPhrase([]index.Clause{tt.clause}); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestQueryString(t *testing.T) {
	clauses, err := index.ParsePhrase("b actor:A")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		scope index.Scope
		want  string
	}{
		{index.Below("Acme/x"), `in "acme/x": actor:a AND b`},
		{index.Below("globex", "acme", "Globex"), `in "acme" or "globex": actor:a AND b`},
		{index.Everything(), "in everything: actor:a AND b"},
		{index.Scope{}, "in nothing: actor:a AND b"},
	}
	for _, tt := range tests {
		q := index.Query{Scope: tt.scope, Clauses: clauses}
		if got := q.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
