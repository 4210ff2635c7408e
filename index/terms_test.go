package index_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

// termsOf returns the terms of an event as strings, sorted.
func termsOf(e *index.Event) []string {
	var terms index.Terms
	terms.Read(&index.Event{Type: "before", Payload: []byte(`{"user":"before"}`)})
	terms.Read(e)
	var list []string
	for t := range terms.All() {
		list = append(list, fieldNames[t.Field]+":"+t.Value)
	}
	slices.Sort(list)
	return list
}

var fieldNames = map[index.Field]string{
	index.FieldType: "type", index.FieldCategory: "category", index.FieldActor: "actor", index.FieldUser: "user",
	index.FieldNamespace: "namespace", index.FieldRepo: "repo", index.FieldOrg: "org", index.FieldBusiness: "business",
	index.FieldOperation: "operation", index.FieldCountry: "country", index.FieldIP: "ip", index.FieldToken: "token",
	index.FieldTarget: "target", index.FieldSource: "source", index.FieldKind: "kind", index.FieldWord: "word",
	index.FieldActorID: "actor_id", index.FieldUserID: "user_id", index.FieldOrgID: "org_id", index.FieldRepoID: "repo_id",
	index.FieldBusinessID: "business_id", index.FieldApp: "app", index.FieldEntity: "entity",
}

func TestTerms(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		want          string // terms, sorted, with a space between
	}{
		{"nothing", `{}`, ""},
		{"numbers keep their digits", `{"actor_id":-3,"user_id":9007199254740993123,"org_id":1.50}`, "actor_id:-3 org_id:1.50 user_id:9007199254740993123"},
		{"literals and empty strings are no terms", `{"actor":null,"user":"","org":true,"note":false}`, ""},
		{"each element", `{"org":["web","OPS",null,7,[8]],"repo":[]}`, "org:7 org:ops org:web"},
		{"both vocabularies", `{"actor":"a","author_name":"B","actor_ip":"192.0.2.1","ip_address":"::1"}`, "actor:a actor:b ip:192.0.2.1 ip:::1"},
		{"tokens keep their case", `{"hashed_token":"aB="}`, "token:aB="},
		{"inside", `{"details":{"author_name":"x","details":{"user":"no"},"ip_address":"::2"},"actor_location":{"country_code":"NG"},"data":{"user":"u"}}`,
			"actor:x country:ng ip:::2 user:u"},
		{"not inside others", `{"other":{"user":"x","note":"y"},"deep":[{"user":"x"}],"user":"z"}`, "user:z"},
		{"words", `{"note":"One, two-three_ONE 4"}`, "word:4 word:one word:three word:two"},
		{"words of objects and arrays", `{"custom_message":{"a":"Push b","n":7,"l":["c",{"d":"e"}]},"reason":["f g"]}`,
			"word:b word:c word:e word:f word:g word:push"},
		{"target", `{"target_details":"My Project","target_id":31,"target_type":"Project"}`,
			"target:31 target:my project target:project word:my word:project"},
		{"escapes", `{"note":"a\"b\\c\/d\n\u00c9t\u00e9 \ud83d\ude00x","\u0075ser":"J\u00f6rg\\"}`,
			`user:jörg\ word:a word:b word:c word:d word:x word:été`},
		{"other alphabets", `{"note":"Übergabe、日本語 ΣΑΣ","user":"ÖZGÜR"}`, "user:özgür word:übergabe word:σασ word:日本語"},
		{"entity", `{"entity_id":29,"entity_type":"Project","entity_path":"Acme/Web"}`, "entity:project/29 kind:project repo:acme/web"},
		{"entity with escapes", `{"entity_type":"Pro\u006aect","entity_id":"2\u0039"}`, "entity:project/29 kind:project"},
		{"entity of a user", `{"entity_id":8,"entity_type":"User","entity_path":"mira"}`, "entity:user/8 kind:user"},
		{"instance", `{"entity_path":"gitlab_instance"}`, "kind:gitlab::audit::instancescope"},
		{"quotes and brackets in strings", `{"x":"}\"]{","y":["[\\",{"z":"\\\\\""}],"user":"u"}`, "user:u"},
	} {
		e := &index.Event{Payload: []byte(c.payload)}
		if strings.Contains(c.payload, "Acme/Web") {
			e.Namespace = "Acme/Web"
		}
		got := termsOf(e)
		if e.Namespace != "" {
			got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "namespace:") })
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, text, c.want)
		}
	}
}

func TestTermsOfDirectory(t *testing.T) {
	got := termsOf(&index.Event{Type: "Repo.create", Namespace: "Acme/Web/shop", Source: "sluice", Payload: []byte(`{"repo":"web/shop"}`)})
	want := []string{"category:repo", "kind:project", "namespace:acme", "namespace:acme/web", "namespace:acme/web/shop",
		"repo:web/shop", "source:sluice", "type:repo.create"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What an event has, a query's term for it finds: however long and in whatever case.
func TestTermsAreThoseOfQueries(t *testing.T) {
	for _, value := range []string{"a", "A\u00c9", strings.Repeat("Long", 100), strings.Repeat("\u00c4", 70), strings.Repeat("x", 65)} {
		var terms index.Terms
		terms.Read(&index.Event{Payload: []byte(`{"user":"` + value + `","hashed_token":"` + value + `","note":"` + value + `"}`)})
		for _, field := range []index.Field{index.FieldUser, index.FieldToken, index.FieldWord} {
			if !terms.Has(index.NewTerm(field, value)) {
				t.Errorf("field %d: %d bytes of %.8s... are not found", field, len(value), value)
			}
		}
	}
}

func TestTermsAreBounded(t *testing.T) {
	payload := `{"note":"` + wordsOf("w", 500) + `","org":["` + strings.ReplaceAll(wordsOf("o", 500), " ", `","`) + `"]}`
	counts := map[bool]int{}
	for _, term := range termsOf(&index.Event{Payload: []byte(payload)}) {
		counts[strings.HasPrefix(term, "word:")]++
	}
	want := map[bool]int{true: index.MaxEventWords, false: index.MaxEventTerms - index.MaxEventWords}
	if !maps.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}

func wordsOf(prefix string, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = prefix + strings.Repeat("x", i)
	}
	return strings.Join(list, " ")
}

// The repository's samples, each as the log would have it.
func TestTermsOfSamples(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"gitlab.ndjson", "actor:nadia okafor"},
		{"github.ndjson", "org:shop"},
		{"bench_gitlab.json", "word:approved"},
		{"bench_github.json", "app:"},
	} {
		raw, err := os.ReadFile("../testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		scanner := sluice.Scanner{NewID: func(dst []byte) []byte { return append(dst, "made"...) }}
		line, _, _ := strings.Cut(string(raw), "\n")
		payload, env, _, err := scanner.Scan(nil, []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		list := termsOf(&index.Event{Type: string(env.Type), Namespace: string(env.Namespace), Payload: payload})
		if kind := "kind:" + strings.ToLower(string(env.Kind)); !slices.Contains(list, kind) {
			t.Errorf("%s: %s is not among %q", c.file, kind, list)
		}
		if c.want != "app:" && !slices.Contains(list, c.want) {
			t.Errorf("%s: %s is not among %q", c.file, c.want, list)
		}
	}
}

func TestTermsWithoutGarbage(t *testing.T) {
	raw, err := os.ReadFile("../testdata/bench_gitlab.json")
	if err != nil {
		t.Fatal(err)
	}
	e := index.Event{Type: "member_created", Namespace: "acme/shop", Payload: []byte(strings.TrimSpace(string(raw)))}
	var terms index.Terms
	terms.Read(&e)
	if n := testing.AllocsPerRun(10, func() { terms.Read(&e) }); n != 0 {
		t.Errorf("allocations an event: got %v, want 0", n)
	}
}

func FuzzTerms(f *testing.F) {
	for _, s := range []string{`{"note":"a\u00e9","org":[1,"x"],"details":{"user":"y"}}`, `{"a":[{"b":"c\\"}]}`, `{`, `{"note":{"a":`, `{"user":tru`, `{"note":"\u12`, `{"entity_id":"\ud800\u`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var terms index.Terms
		terms.Read(&index.Event{Payload: payload})
		n := 0
		for term := range terms.All() {
			if n++; len(term.Value) > index.MaxTermBytes || term.Value == "" {
				t.Errorf("a term of %d bytes", len(term.Value))
			}
		}
		if n > index.MaxEventTerms {
			t.Errorf("terms: got %d, want %d at most", n, index.MaxEventTerms)
		}
	})
}
