package manifest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/manifest"
)

// head begins a document; what follows it stands in line 3.
const head = "version: 1\nnamespace: acme\n"

func TestReadTellsWhereAndWhat(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                {"", "a.yaml: there is no document in it"},
		"comments only":          {"# nothing\n---\n", "a.yaml: there is no document in it"},
		"no YAML":                {head + "streams: [\n", "a.yaml:3:1: it is not YAML: did not find expected node content"},
		"a tab":                  {head + "streams:\n\t- name: x\n", "a.yaml:4:1: it is not YAML: found character that cannot start any token"},
		"not UTF-8":              {"version: \xff", "a.yaml: it is not UTF-8"},
		"too large":              {strings.Repeat("#", manifest.MaxSource+1), "a.yaml: it is larger than 1048576 bytes"},
		"a list":                 {"- a\n", "a.yaml:1:1: the document must be a mapping, not a list"},
		"text":                   {"hello", "a.yaml:1:1: the document must be a mapping, not text"},
		"no version":             {"namespace: acme\n", "a.yaml:1:1: version is missing: this program knows version: 1"},
		"another version":        {"version: 2\nnamespace: acme\n", "a.yaml:1:10: version must be 1: a newer program may know others"},
		"version as text":        {"version: '1'\nnamespace: acme\n", "a.yaml:1:10: version must be 1: a newer program may know others"},
		"no namespace":           {"version: 1\n", `a.yaml:1:1: namespace is missing: a top-level namespace, or "" for the instance`},
		"null namespace":         {"version: 1\nnamespace:\n", "a.yaml:2:11: namespace must be text, not nothing"},
		"a group":                {"version: 1\nnamespace: acme/web\n", `a.yaml:2:12: namespace must be a top-level one, such as acme, or "" for the instance`},
		"unknown list":           {head + "stream: []\n", `a.yaml:3:1: the document has no field "stream": the fields are version, namespace, users, members, notices, tokens, streams`},
		"null list":              {head + "streams:\n", "a.yaml:3:9: streams must be a list, not nothing"},
		"unknown field":          {head + "streams:\n  - {name: a, kind: http, urll: x}\n", `a.yaml:4:27: streams[0] has no field "urll": the fields are name, kind, config, secrets, filter, start, until, strict, active`},
		"twice":                  {head + "streams:\n  - name: a\n    kind: http\n    kind: s3\n", `a.yaml:6:5: streams[0] has the field "kind" twice: it is in line 5, too`},
		"twice in config":        {head + "streams:\n  - {name: a, kind: http, config: {url: a, url: b}}\n", `a.yaml:4:44: streams[0].config has the field "url" twice: it is in line 4, too`},
		"number as name":         {head + "streams:\n  - {name: 7, kind: http}\n", "a.yaml:4:12: streams[0].name must be text, not a number: put it in quotes"},
		"date as name":           {head + "streams:\n  - {name: 2026-01-01, kind: http}\n", "a.yaml:4:12: streams[0].name must be text, not a date: put it in quotes"},
		"no name":                {head + "streams:\n  - kind: http\n", "a.yaml:4:5: streams[0].name is missing"},
		"empty name":             {head + "streams:\n  - {name: '', kind: http}\n", "a.yaml:4:12: streams[0].name must not be empty"},
		"text as truth":          {head + "streams:\n  - {name: a, kind: http, strict: 'true'}\n", "a.yaml:4:35: streams[0].strict must be true or false, not text"},
		"yes as truth":           {head + "streams:\n  - {name: a, kind: http, strict: yes}\n", "a.yaml:4:35: streams[0].strict must be true or false, not text"},
		"a secret":               {head + "streams:\n  - {name: a, kind: splunk, secrets: {token: abc}}\n", "a.yaml:4:46: streams[0].secrets.token is a secret, which does not belong into this file: name where it is, {env: NAME} or {file: PATH}"},
		"two places":             {head + "streams:\n  - {name: a, kind: splunk, secrets: {token: {env: A, file: b}}}\n", "a.yaml:4:46: streams[0].secrets.token must be either {env: NAME} or {file: PATH}"},
		"a bad start":            {head + "streams:\n  - {name: a, kind: http, start: yesterday}\n", "a.yaml:4:34: streams[0].start must be now, earliest or a time such as 2026-01-31T12:00:00Z"},
		"a day":                  {head + "streams:\n  - {name: a, kind: http, until: 2026-01-31}\n", "a.yaml:4:34: streams[0].until must be a time such as 2026-01-31T12:00:00Z, or null for never"},
		"a bad filter":           {head + "streams:\n  - {name: a, kind: http, filter: {event_types: [x, 7]}}\n", "a.yaml:4:53: streams[0].filter.event_types[1] must be text, not a number: put it in quotes"},
		"a filter elsewhere":     {head + "streams:\n  - {name: a, kind: http, filter: {namespaces: [other/x]}}\n", `a.yaml:4:35: filter: namespace "other/x" does not lie below "acme"`},
		"an anchor":              {head + "streams:\n  - &a {name: a, kind: http}\n  - *a\n", "a.yaml:4:5: anchors and aliases (& and *) are not allowed: write it out"},
		"a merge":                {head + "streams:\n  - {<<: {name: a}, kind: http}\n", "a.yaml:4:6: a key must be text"},
		"a tag":                  {head + "streams:\n  - {name: !secret a, kind: http}\n", "a.yaml:4:12: tags (!secret) are not allowed: put text in quotes"},
		"a key that is a list":   {head + "? [a]\n: b\n", "a.yaml:3:3: a key must be text"},
		"too deep":               {head + "streams: " + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "\n", "a.yaml:3:26: it is nested deeper than 16 levels"},
		"the same name":          {head + "streams:\n  - {name: a, kind: http}\n  - {name: a, kind: s3}\n", `a.yaml:5:5: there is another stream "a" at a.yaml:4:5`},
		"in another document":    {head + "tokens:\n  - name: a\n---\nversion: 1\nnamespace: ACME\ntokens:\n  - name: a\n", `a.yaml:9:5: there is another token "a" at a.yaml:4:5`},
		"users without case":     {"version: 1\nnamespace: ''\nusers:\n  - name: jane\n  - name: Jane\n", `a.yaml:5:5: there is another user "jane" at a.yaml:4:5`},
		"users of a namespace":   {head + "users: []\n", `a.yaml:3:8: users belong to the instance: put them into a document with namespace: ""`},
		"instance members":       {"version: 1\nnamespace: ''\nmembers: []\n", "a.yaml:3:10: the instance has no members: roles are in top-level namespaces, administrators are users"},
		"a role":                 {head + "members:\n  - {user: jane, role: admin}\n", `a.yaml:4:24: members[0].role must be one of owner, auditor, not "admin"`},
		"a negative limit":       {head + "tokens:\n  - {name: a, rate_limit: -1}\n", "a.yaml:4:27: tokens[0].rate_limit must be a whole number of 0 or more"},
		"an address":             {head + "notices:\n  - {kind: email}\n", "a.yaml:4:5: notices[0].address is missing"},
		"not a number":           {head + "streams:\n  - {name: a, kind: s3, config: {object_bytes: .inf}}\n", "a.yaml:4:48: streams[0].config.object_bytes is not a number that can be stored"},
		"too large a number":     {head + "streams:\n  - {name: a, kind: s3, config: {object_bytes: 99999999999999999999}}\n", ""},
		"an octal limit":         {head + "tokens:\n  - {name: a, rate_limit: 010}\n", "a.yaml:4:27: tokens[0].rate_limit is the number 010: write it in decimal, without leading zeros and underscores"},
		"an octal limit of 1.2":  {head + "tokens:\n  - {name: a, rate_limit: 0o10}\n", "a.yaml:4:27: tokens[0].rate_limit is the number 0o10: write it in decimal, without leading zeros and underscores"},
		"no octal limit":         {head + "tokens:\n  - {name: a, rate_limit: 08}\n", "a.yaml:4:27: tokens[0].rate_limit is the number 08: write it in decimal, without leading zeros and underscores"},
		"a hexadecimal limit":    {head + "tokens:\n  - {name: a, rate_limit: 0x10}\n", "a.yaml:4:27: tokens[0].rate_limit is the number 0x10: write it in decimal, without leading zeros and underscores"},
		"a binary number":        {head + "streams:\n  - {name: a, kind: s3, config: {object_bytes: 0b10}}\n", "a.yaml:4:48: streams[0].config.object_bytes is the number 0b10: write it in decimal, without leading zeros and underscores"},
		"underscores":            {head + "streams:\n  - {name: a, kind: s3, config: {object_bytes: 65_536}}\n", "a.yaml:4:48: streams[0].config.object_bytes is the number 65_536: write it in decimal, without leading zeros and underscores"},
		"a name of two lines":    {head + "streams:\n  - {name: \"a\\nb\", kind: http}\n", "a.yaml:4:12: streams[0].name must be one line of text, without control characters"},
		"a name that steers":     {head + "tokens:\n  - {name: \"a\\e[2J\"}\n", "a.yaml:4:12: tokens[0].name must be one line of text, without control characters"},
		"a user with a NUL":      {head + "members:\n  - {user: \"a\\0\", role: owner}\n", "a.yaml:4:12: members[0].user must be one line of text, without control characters"},
		"a file that steers":     {head + "streams:\n  - {name: a, kind: splunk, secrets: {token: {file: \"\\e[2J\"}}}\n", "a.yaml:4:53: streams[0].secrets.token.file must be one line of text, without control characters"},
		"a field that steers":    {head + "streams:\n  - {name: a, kind: splunk, secrets: {\"x\\n\\e\": {env: 7}}}\n", "a.yaml:4:54: streams[0].secrets.x\\u000a\\u001b.env must be text, not a number: put it in quotes"},
		"the command's token":    {head + "streams:\n  - {name: a, kind: http, config: {headers: [{name: X, value: {env: SLUICE_TOKEN}}]}}\n", "a.yaml:4:69: streams[0].config.headers[0].value.env must not be SLUICE_TOKEN: variables that begin with SLUICE_ are this program's own, its tokens among them"},
		"in small letters":       {"version: 1\nnamespace: ''\nusers:\n  - {name: jane, password: {env: sluice_smtp_password}}\n", "a.yaml:4:34: users[0].password.env must not be sluice_smtp_password: variables that begin with SLUICE_ are this program's own, its tokens among them"},
		"several at once":        {"version: 1\nnamespace: acme\nstreams:\n  - {kind: 7}\n", "a.yaml:4:5: streams[0].name is missing\na.yaml:4:12: streams[0].kind must be text, not a number: put it in quotes"},
		"a password in the file": {"version: 1\nnamespace: ''\nusers:\n  - {name: jane, password: geheimgeheim}\n", "a.yaml:4:28: users[0].password is a secret, which does not belong into this file: name where it is, {env: NAME} or {file: PATH}"},
	} {
		_, err := manifest.Read(manifest.Source{Name: "a.yaml", Text: []byte(c.text)})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// What is wrong many times is told a few times.
func TestReadBoundsWhatItTells(t *testing.T) {
	text := head + "streams:\n" + strings.Repeat("  - {name: 7}\n", 100)
	_, err := manifest.Read(manifest.Source{Name: "a.yaml", Text: []byte(text)})
	problems, ok := errors.AsType[manifest.Problems](err)
	if !ok || len(problems) != manifest.MaxProblems {
		t.Errorf("got %d problems, want %d", len(problems), manifest.MaxProblems)
	}
}

func TestReadTakesDocumentsOfANamespaceTogether(t *testing.T) {
	m, err := manifest.Read(
		manifest.Source{Name: "a.yaml", Text: []byte(head + "streams:\n  - {name: a, kind: http}\n---\nversion: 1\nnamespace: ''\nusers: []\n")},
		manifest.Source{Name: "b.yaml", Text: []byte("version: 1\nnamespace: Acme\nstreams:\n  - {name: b, kind: http}\ntokens: []\n")},
	)
	if err != nil || len(m.Namespaces) != 2 {
		t.Fatalf("got %v, %v, want two namespaces", m, err)
	}
	acme := m.Namespaces[0]
	if len(acme.Streams.Items) != 2 || !acme.Tokens.Managed || acme.Members.Managed || acme.Streams.Items[1].At.File != "b.yaml" {
		t.Errorf("got %+v, want two streams, tokens managed, members not", acme)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "from the file\r\n", "empty": "\n", "large": strings.Repeat("x", 65<<10)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "a.yaml")
	read := func(secrets string) error {
		m, err := manifest.Read(manifest.Source{Name: file, Text: []byte(head + "streams:\n  - {name: a, kind: splunk, secrets: {" + secrets + "}}\n")})
		if err != nil {
			t.Fatal(err)
		}
		return m.Resolve(manifest.References{Getenv: func(name string) string { return map[string]string{"SET": "value"}[name] }})
	}
	if err := read("token: {file: token}, other: {env: SET}, absolute: {file: " + filepath.Join(dir, "token") + "}"); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	for secrets, want := range map[string]string{
		"token: {env: UNSET}":              ":4:46: the environment variable UNSET is not set",
		"token: {file: empty}":             "empty is empty",
		"token: {file: large}":             "is larger than 65536 bytes",
		"token: {file: nowhere}":           "no such file",
		"a: {env: UNSET}, b: {env: UNSET}": ":4:59: the environment",
	} {
		if err := read(secrets); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", secrets, err, want)
		}
	}
}

// FuzzRead: whatever the text, it is read or told to be wrong with a place in the
// file, in bounded time.
func FuzzRead(f *testing.F) {
	for _, path := range []string{"least.yaml", "full.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "cmd", "sluice", "testdata", "apply", path))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{"", "a: &a [*a]", head + "streams: [{name: a, kind: b, config: {c: [1, 2.5, null, {env: X}]}}]", "? {}\n: - \n---\n...\n", "%YAML 1.1\n---\n!!map {}", "a: |+\n  x\n\n", head + "tokens: [{name: \"\\u0000\"}]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Read(manifest.Source{Name: "f", Text: text})
		if err == nil {
			if len(m.Namespaces) == 0 {
				t.Error("got a manifest of nothing, want an error")
			}
			return
		}
		problems, ok := errors.AsType[manifest.Problems](err)
		if !ok || len(problems) == 0 || len(problems) > manifest.MaxProblems {
			t.Fatalf("got %v, want 1 to %d problems", err, manifest.MaxProblems)
		}
		lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + strings.Count(string(text), "\u2028") + strings.Count(string(text), "\u2029") + strings.Count(string(text), "\u0085") + 2
		for _, p := range problems {
			if p.Message == "" || p.At.File != "f" || p.At.Line > lines {
				t.Errorf("got problem %+v of a text of %d lines", p, lines)
			}
		}
	})
}
