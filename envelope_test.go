package sluice_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

// shown is an envelope as tests compare it.
func shown(env sluice.Envelope) string {
	when := "-"
	if !env.Time.IsZero() {
		when = env.Time.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("id=%s time=%s type=%s namespace=%s kind=%s actor=%s class=%s",
		env.ID, when, env.Type, env.Namespace, env.Kind, env.Actor, env.Class)
}

func TestEnvelopeOfSamples(t *testing.T) {
	for file, want := range map[string][]string{
		"gitlab.ndjson": {
			"id=501 time=2024-05-06T07:08:09.123Z type=repository_git_operation namespace=acme/shop/billing kind=Project actor=Nadia Okafor class=git",
			"id=7d1c0c5e-8f3a-4a57-9a0e-52d5ab7f9e10 time=2024-05-06T07:08:09Z type=repository_git_operation namespace=acme/shop/billing kind=Project actor=deploy-bot class=git",
			`id=9007199254740993123 time=2024-05-06T07:08:09Z type=member_created namespace=acme/shop kind=Group actor=Jörg "JJ" Maier class=audit`,
			"id=503 time=2024-05-06T07:08:10.5Z type=application_setting_updated namespace= kind=Gitlab::Audit::InstanceScope actor=root class=audit",
			"id=504 time=2024-05-06T07:08:11Z type=user_login_failed namespace= kind=User actor=mira class=audit",
		},
		"github.ndjson": {
			"id=Qm9ndXMgc2FtcGxlIGlkIQ== time=2024-05-06T07:08:09.123Z type=git.clone namespace=acme/shop/billing kind=Project actor= class=git",
			"id=made time=2024-05-06T07:08:09.2Z type=git.fetch namespace=acme/shop/billing kind=Project actor= class=git",
			"id=aGVsbG8td29ybGQtMjItYw time=2024-05-06T07:08:10Z type=repo.create namespace=acme/shop/ledger kind=Project actor=nadia class=audit",
			"id=c2Vjb25kLW9uZS0yMi1jaA time=2024-05-06T07:08:11Z type=org.update_member namespace=acme/shop kind=Group actor=nadia class=audit",
			"id=dGhpcmQtb25lLTIyLWNoYQ time=2024-05-06T07:08:12Z type=business.add_admin namespace=acme kind=Group actor=nadia class=audit",
		},
	} {
		for i, line := range readEvents(t, file) {
			out, env, _, err := newScanner().Scan(nil, line)
			if err != nil {
				t.Errorf("%s %d: %v", file, i, err)
				continue
			}
			if got := shown(env); got != want[i] {
				t.Errorf("%s %d: got %s\nwant %s", file, i, got, want[i])
			}
			if got := string(out[env.IDOffset : env.IDOffset+len(env.ID)]); got != string(env.ID) {
				t.Errorf("%s %d: got %q at the id's offset, want %q", file, i, got, env.ID)
			}
		}
	}
}

func TestEnvelopeID(t *testing.T) {
	const rest = `"event_type":"t","entity_path":"acme"}`
	long := strings.Repeat("i", sluice.MaxEventID)
	for _, test := range []struct{ name, members, out, id, code string }{
		{"number", `"id":-12.50e7,`, "", `-12.50e7`, ""},
		{"string", `"id":"a-1",`, "", `a-1`, ""},
		{"escapes stay", `"id":"a\u002d\"1",`, "", `a\u002d\"1`, ""},
		{"escaped key", `"\u0069d":"x",`, "", `x`, ""},
		{"longest", `"id":"` + long + `",`, "", long, ""},
		{"document id", `"_document_id":"doc",`, "", `doc`, ""},
		{"document id as number", `"_document_id":7,`, "", `7`, ""},
		{"id before document id", `"_document_id":"doc","id":"x",`, "", `x`, ""},
		{"made", ``, `{"id":"made",` + rest, `made`, ""},
		{"made beside an empty document id", `"_document_id":"",`, `{"id":"made","_document_id":"",` + rest, `made`, ""},
		{"made beside a null document id", `"_document_id":null,`, `{"id":"made","_document_id":null,` + rest, `made`, ""},
		{"made after removing white space", " \"_document_id\"\n: null, ", `{"id":"made","_document_id":null,` + rest, `made`, ""},
		{"nested id is none", `"a":{"id":5},`, `{"id":"made","a":{"id":5},` + rest, `made`, ""},
		{"null", `"id":null,`, "", "", sluice.CodeBadID},
		{"empty", `"id":"",`, "", "", sluice.CodeBadID},
		{"null beside a document id", `"_document_id":"doc","id":null,`, "", "", sluice.CodeBadID},
		{"true", `"id":true,`, "", "", sluice.CodeBadID},
		{"false", `"id":false,`, "", "", sluice.CodeBadID},
		{"array", `"id":[1],`, "", "", sluice.CodeBadID},
		{"object", `"id":{},`, "", "", sluice.CodeBadID},
		{"document id as object", `"_document_id":{},`, "", "", sluice.CodeBadID},
		{"over-long", `"id":"` + long + `x",`, "", "", sluice.CodeBadID},
		{"over-long number", `"id":1` + strings.Repeat("0", sluice.MaxEventID) + `,`, "", "", sluice.CodeBadID},
	} {
		src := `{` + test.members + rest
		out, env, n, err := newScanner().Scan([]byte("dst"), []byte(src))
		if n != len(src) {
			t.Errorf("%s: got n %d, want %d", test.name, n, len(src))
		}
		if test.code != "" {
			if got := scanError(t, err).Code; got != test.code {
				t.Errorf("%s: got %s, want %s", test.name, got, test.code)
			}
			continue
		}
		want := test.out
		if want == "" {
			want = src
		}
		if err != nil || string(out) != "dst"+want {
			t.Errorf("%s: got %s, error %v; want %s", test.name, out, err, want)
			continue
		}
		if got := string(out[3:][env.IDOffset:][:len(env.ID)]); string(env.ID) != test.id || got != test.id || shown(env) == "" {
			t.Errorf("%s: got id %q, at its offset %q; want %q", test.name, env.ID, got, test.id)
		}
		if string(env.Type) != "t" || string(env.Namespace) != "acme" {
			t.Errorf("%s: got type %q, namespace %q; want t, acme", test.name, env.Type, env.Namespace)
		}
	}
	_, _, _, err := new(sluice.Scanner).Scan(nil, []byte(`{`+rest))
	if got := scanError(t, err).Code; got != sluice.CodeMissingID {
		t.Errorf("without NewID: got %s, want %s", got, sluice.CodeMissingID)
	}
}

func TestEnvelopeTime(t *testing.T) {
	for _, test := range []struct{ members, want string }{
		{`"created_at":"2022-02-23T06:21:05.283Z"`, "2022-02-23T06:21:05.283Z"},
		{`"created_at":"2022-02-23T06:21:05Z"`, "2022-02-23T06:21:05Z"},
		{`"created_at":"2022-02-23t06:21:05z"`, "2022-02-23T06:21:05Z"},
		{`"created_at":"2022-02-23T06:21:05.1234567899Z"`, "2022-02-23T06:21:05.123456789Z"},
		{`"created_at":"2022-02-23T00:21:05+05:45"`, "2022-02-22T18:36:05Z"},
		{`"created_at":"2022-12-31T23:00:00.5-01:00"`, "2023-01-01T00:00:00.5Z"},
		{`"created_at":"2024-02-29T00:00:00-00:00"`, "2024-02-29T00:00:00Z"},
		{`"created_at":"2016-12-31T23:59:60Z"`, "2017-01-01T00:00:00Z"},
		{`"created_at":"2017-01-01T00:59:60.5+01:00"`, "2017-01-01T00:00:00.5Z"},
		{`"created_at":"9999-12-31T23:59:59.999999999Z"`, "9999-12-31T23:59:59.999999999Z"},
		{`"created_at":"0001-01-01T00:00:01Z"`, "0001-01-01T00:00:01Z"},
		{`"created_at":"2022\u002d02-23T06:21:05Z"`, "2022-02-23T06:21:05Z"},
		{`"created_at":1714979290001`, "2024-05-06T07:08:10.001Z"},
		{`"created_at":0`, "1970-01-01T00:00:00Z"},
		{`"created_at":-0`, "1970-01-01T00:00:00Z"},
		{`"created_at":-1`, "1969-12-31T23:59:59.999Z"},
		{`"created_at":253402300799999`, "9999-12-31T23:59:59.999Z"},
		{`"created_at":-62135596799999`, "0001-01-01T00:00:00.001Z"},
		{`"@timestamp":1714979290001`, "2024-05-06T07:08:10.001Z"},
		{`"@timestamp":"2022-02-23T06:21:05Z"`, "2022-02-23T06:21:05Z"},
		{`"@timestamp":1,"created_at":2`, "1970-01-01T00:00:00.002Z"},
		{`"@timestamp":1,"created_at":null`, "1970-01-01T00:00:00.001Z"},
		{`"@timestamp":null`, "-"},
		{`"x":1`, "-"},
		{`"created_at":""`, sluice.CodeBadTime},
		{`"created_at":"","@timestamp":1`, sluice.CodeBadTime},
		{`"created_at":"yesterday"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23 06:21:05 UTC"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23 06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05.Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05,5Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05ZZ"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05+0100"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05+24:00"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:05+01:60"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T24:00:00Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:60:05Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:60Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-23T06:21:61Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-29T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-00-01T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-13-01T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"2022-02-00T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"+022-02-23T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"0000-02-23T06:21:05Z"`, sluice.CodeBadTime},
		{`"created_at":"0001-01-01T00:00:00+01:00"`, sluice.CodeBadTime},
		{`"created_at":"9999-12-31T23:59:59-01:00"`, sluice.CodeBadTime},
		{`"created_at":1.5`, sluice.CodeBadTime},
		{`"created_at":1e3`, sluice.CodeBadTime},
		{`"created_at":253402300800000`, sluice.CodeBadTime},
		{`"created_at":-62135596800001`, sluice.CodeBadTime},
		{`"created_at":99999999999999999999999999`, sluice.CodeBadTime},
		{`"created_at":true`, sluice.CodeBadTime},
		{`"created_at":{}`, sluice.CodeBadTime},
		{`"created_at":[1]`, sluice.CodeBadTime},
	} {
		_, env, _, err := newScanner().Scan(nil, []byte(with(test.members)))
		got := "-"
		if err != nil {
			got = scanError(t, err).Code
		} else if !env.Time.IsZero() {
			got = env.Time.Format(time.RFC3339Nano)
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.members, got, test.want)
		}
	}
}

// TestEnvelopeTimeOfEachDay compares the calendar with package time's.
func TestEnvelopeTimeOfEachDay(t *testing.T) {
	s := newScanner()
	for _, year := range []int{1, 4, 99, 100, 400, 1582, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9999} {
		for month := 0; month <= 13; month++ {
			for day := 0; day <= 32; day++ {
				text := fmt.Sprintf("%04d-%02d-%02dT23:59:58.25-00:30", year, month, day)
				want, wantErr := time.Parse(time.RFC3339Nano, text)
				if wantErr == nil && want.UTC().Year() > 9999 {
					continue
				}
				_, env, _, err := s.Scan(nil, []byte(with(`"created_at":"`+text+`"`)))
				if (err == nil) != (wantErr == nil) || err == nil && !env.Time.Equal(want) {
					t.Fatalf("%s: got %v, error %v; want %v, error %v", text, env.Time, err, want, wantErr)
				}
			}
		}
	}
}

func TestEnvelopeType(t *testing.T) {
	long := strings.Repeat("é", sluice.MaxEventType/2)
	for _, test := range []struct{ members, want string }{
		{`"event_type":"a"`, "a audit"},
		{`"action":"repo.create"`, "repo.create audit"},
		{`"event_type":"a","action":"b"`, "a audit"},
		{`"event_type":"","action":"b"`, "b audit"},
		{`"event_type":null,"action":"b"`, "b audit"},
		{`"action":{"x":1},"event_type":"a"`, "a audit"},
		{`"action":"git.push"`, "git.push git"},
		{`"action":"g\u0069t.push"`, "git.push git"},
		{`"action":"github.push"`, "github.push audit"},
		{`"event_type":"repository_git_operation"`, "repository_git_operation git"},
		{`"event_type":"` + long + `"`, long + " audit"},
		{`"event_type":"` + strings.Repeat(`\u0061`, sluice.MaxEventType) + `"`, strings.Repeat("a", sluice.MaxEventType) + " audit"},
		{`"event_type":""`, sluice.CodeMissingType},
		{`"event_type":null,"action":""`, sluice.CodeMissingType},
		{`"details":{"event_type":"x"}`, sluice.CodeMissingType},
		{`"event_type":1,"action":"b"`, sluice.CodeBadType},
		{`"action":{}`, sluice.CodeBadType},
		{`"action":["a"]`, sluice.CodeBadType},
		{`"action":false`, sluice.CodeBadType},
		{`"action":"` + long + `é"`, sluice.CodeBadType},
		{`"action":"a\tb"`, sluice.CodeBadType},
		{`"action":"a\u0085b"`, sluice.CodeBadType},
		{"\"action\":\"a\x7fb\"", sluice.CodeBadType},
		{`"action":"é\u007f"`, sluice.CodeBadType},
	} {
		_, env, _, err := newScanner().Scan(nil, []byte(`{"id":1,"entity_path":"acme",`+test.members+`}`))
		got := fmt.Sprintf("%s %s", env.Type, env.Class)
		if err != nil {
			got = scanError(t, err).Code
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.members, got, test.want)
		}
	}
}

func TestEnvelopeActor(t *testing.T) {
	for members, want := range map[string]string{
		`"author_name":"a","actor":"b"`:         "a",
		`"author_name":"","actor":"b"`:          "b",
		`"author_name":null,"actor":["b","c"]`:  "b",
		`"author_name":{"x":1},"actor":"b"`:     "b",
		`"actor":[]`:                            "",
		`"actor":[1,"b"]`:                       "",
		`"actor":[null]`:                        "",
		`"actor":[["a"]]`:                       "",
		`"actor":7`:                             "",
		`"actor":{"login":"x"}`:                 "",
		`"actor":[ "q\"\\" , "x" ]`:             `q"\`,
		`"author_name":"\u00e9\ud83d\ude00\/x"`: "é😀/x",
		`"actor":"\b\f\n\r\t\u000A"`:            "\b\f\n\r\t\n",
	} {
		_, env, _, err := newScanner().Scan(nil, []byte(with(members)))
		if err != nil || string(env.Actor) != want {
			t.Errorf("%s: got %q, error %v; want %q", members, env.Actor, err, want)
		}
	}
}

func TestEnvelopeNamespace(t *testing.T) {
	for _, test := range []struct{ top, members, want string }{
		{"", `"entity_path":"acme/web"`, "acme/web "},
		{"", `"entity_path":"acme/web","entity_type":"Project"`, "acme/web Project"},
		{"", `"entity_path":"acme\/w\u00e9b"`, "acme/wéb "},
		{"", `"entity_path":"acme/web","business":"x","repo":{}`, "acme/web "},
		{"", `"entity_path":"","business":"x"`, "x Group"},
		{"", `"entity_path":null,"business":"x","entity_type":"Thing"`, "x Thing"},
		{"", `"business":"b","org":"o","repo":"o/r"`, "b/o/r Project"},
		{"", `"business":"b","org":"other","repo":"o/r"`, "b/o/r Project"},
		{"", `"business":"b","org":"o","repo":"r"`, "b/o/r Project"},
		{"", `"business":"b","repo":"r"`, "b/r Project"},
		{"", `"business":"b","org":"o"`, "b/o Group"},
		{"", `"business":"b"`, "b Group"},
		{"", `"org":"o"`, "o Group"},
		{"", `"org":"o","repo":"r"`, "o/r Project"},
		{"", `"repo":"o/r"`, "o/r Project"},
		{"", `"repo":"r"`, "r Project"},
		{"", `"business":["b","c"],"org":["o"],"repo":["o/r","o/s"]`, "b/o/r Project"},
		{"", `"business":[],"org":[ null ],"repo":["o\/r"]`, "o/r Project"},
		{"", `"business":[""],"org":"o"`, "o Group"},
		{"acme", `"repo":"o/r"`, "acme/o/r Project"},
		{"acme", `"org":"o"`, "acme/o Group"},
		{"acme", `"business":"ACME","org":"o"`, "ACME/o Group"},
		{"ÄCME", `"business":"äcme","org":"o"`, "äcme/o Group"},
		{"Acme", `"entity_path":"aCME"`, "aCME "},
		{"", `"entity_path":"gitlab_instance"`, " Gitlab::Audit::InstanceScope"},
		{"", `"entity_path":"gitlab_instance","entity_type":"Other"`, " Other"},
		{"", `"entity_type":"Gitlab::Audit::InstanceScope"`, " Gitlab::Audit::InstanceScope"},
		{"", `"entity_path":"mira","entity_type":"User"`, " User"},
		{"", `"entity_type":"User"`, " User"},

		{"", `"x":1`, sluice.CodeMissingNamespace},
		{"acme", `"x":1`, sluice.CodeMissingNamespace},
		{"", `"entity_path":"","org":[],"repo":null`, sluice.CodeMissingNamespace},
		{"", `"entity_type":"Project"`, sluice.CodeMissingNamespace},
		{"", `"entity_path":"/acme"`, sluice.CodeBadNamespace},
		{"", `"entity_path":"acme//web"`, sluice.CodeBadNamespace},
		{"", `"entity_path":"acme/../web"`, sluice.CodeBadNamespace},
		{"", `"entity_path":"acme/\u0007"`, sluice.CodeBadNamespace},
		{"", `"entity_path":"` + strings.Repeat("a/", 20) + `a"`, sluice.CodeBadNamespace},
		{"", `"entity_path":7`, sluice.CodeBadNamespace},
		{"", `"entity_path":["acme"]`, sluice.CodeBadNamespace},
		{"", `"business":{}`, sluice.CodeBadNamespace},
		{"", `"org":[1]`, sluice.CodeBadNamespace},
		{"", `"repo":true`, sluice.CodeBadNamespace},
		{"", `"repo":"o/"`, sluice.CodeBadNamespace},
		{"", `"entity_path":"acme","entity_type":1`, sluice.CodeBadKind},
		{"", `"entity_path":"acme","entity_type":"` + strings.Repeat("k", 256) + `"`, sluice.CodeBadKind},
		{"acme", `"entity_path":"acmeX/web"`, sluice.CodeForeignNamespace},
		{"acme", `"entity_path":"other"`, sluice.CodeForeignNamespace},
		{"acme", `"business":"other","org":"acme"`, sluice.CodeForeignNamespace},
		{"acme", `"entity_path":"acme/web","entity_type":"User"`, sluice.CodeForeignNamespace},
		{"acme", `"entity_path":"gitlab_instance"`, sluice.CodeForeignNamespace},
		{"acme", `"entity_path":"acme","entity_type":"Gitlab::Audit::InstanceScope"`, sluice.CodeForeignNamespace},
	} {
		s := newScanner()
		s.TopLevel = test.top
		_, env, _, err := s.Scan(nil, []byte(`{"id":1,"event_type":"t",`+test.members+`}`))
		got := fmt.Sprintf("%s %s", env.Namespace, env.Kind)
		if err != nil {
			got = scanError(t, err).Code
		}
		if got != test.want {
			t.Errorf("bound to %q, %s: got %q, want %q", test.top, test.members, got, test.want)
		}
	}
}

func TestInstanceEventsTellWhoMayPostThem(t *testing.T) {
	s := newScanner()
	s.TopLevel = "acme"
	_, _, _, err := s.Scan(nil, []byte(`{"id":1,"event_type":"t","entity_type":"User"}`))
	if got := scanError(t, err).Hint; !strings.Contains(got, "only tokens of the instance") {
		t.Errorf("got hint %q, want it to name tokens of the instance", got)
	}
}

func TestClassOf(t *testing.T) {
	for eventType, want := range map[string]sluice.Class{
		"git.push": sluice.Git, "git.": sluice.Git, "repository_git_operation": sluice.Git,
		"git": sluice.Audit, "github.x": sluice.Audit, "Git.push": sluice.Audit, "": sluice.Audit,
		"repository_git_operation2": sluice.Audit,
	} {
		if got := sluice.ClassOf(eventType); got != want {
			t.Errorf("%q: got %s, want %s", eventType, got, want)
		}
		if got := sluice.ClassOfBytes([]byte(eventType)); got != want {
			t.Errorf("%q as bytes: got %s, want %s", eventType, got, want)
		}
	}
}
