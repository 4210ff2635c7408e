package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

// bad is a request that is refused, with what the answer has to hold.
type bad struct {
	name, method, path, header, body string
	status                           int
	says                             string
}

// refusals is a server with two tenants, and who asks it.
type refusals struct {
	*running
	jane, reader, auditor, disabled, revoked, producer, eve string // headers
	wrongKey                                                string // a box for another key
}

func newRefusals(t *testing.T) *refusals {
	r := &refusals{running: startServer(t, t.TempDir()+"/data", http.DefaultClient, "--allow-private-destinations=false", "--allow-destination", "198.51.100.0/24")}
	for _, body := range []string{
		`{"namespace":"acme","name":"siem","kind":"http","active":false,"config":{"url":"https://198.51.100.7/in","headers":[{"name":"X-Own","value":"kept-secret"}]}}`,
		`{"namespace":"umbra","name":"theirs","kind":"http","active":false,"config":{"url":"https://198.51.100.8/in"}}`,
	} {
		r.must("/api/v1/streams", body)
	}
	for name, role := range map[string]string{"jane": "acme owner", "joe": "acme auditor", "eve": "umbra owner"} {
		namespace, as, _ := strings.Cut(role, " ")
		r.must("/api/v1/users", fmt.Sprintf(`{"name":%q,"password":"correct horse battery"}`, name))
		r.must("/api/v1/members", fmt.Sprintf(`{"namespace":%q,"user":%q,"role":%q}`, namespace, name, as))
	}
	token := func(user, scope string) (id, header string) {
		made := r.must("/api/v1/tokens", fmt.Sprintf(`{"kind":"personal","user":%q,"scopes":[%q]}`, user, scope))
		return made.ID, "Authorization: Bearer " + made.Token
	}
	_, r.jane = token("jane", "api")
	_, r.reader = token("jane", "read:audit_log")
	_, r.auditor = token("joe", "api")
	_, r.eve = token("eve", "api")
	var id string
	id, r.revoked = token("jane", "api")
	r.call("DELETE", "/api/v1/tokens/"+id, "", nil)
	_, r.disabled = token("eve", "api")
	r.call("PATCH", "/api/v1/users/eve", `{"disabled":true}`, nil)
	r.producer = "Authorization: Bearer " + r.must("/api/v1/tokens", `{"namespace":"acme"}`).Token
	public, _, err := box.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.SealAnonymous(nil, []byte("f3a1"), public, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.wrongKey = base64.StdEncoding.EncodeToString(sealed)
	return r
}

type madeThing struct{ ID, Token string }

func (r *refusals) must(path, body string) madeThing {
	r.t.Helper()
	var raw json.RawMessage
	if status := r.call("POST", path, body, &raw); status/100 != 2 {
		r.t.Fatalf("POST %s %s: got %d with %s", path, body, status, raw)
	}
	var out struct {
		ID    any    `json:"id"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		r.t.Fatal(err)
	}
	return madeThing{fmt.Sprint(out.ID), out.Token}
}

// state is everything that a request could have changed.
func (r *refusals) state() string {
	r.t.Helper()
	var out strings.Builder
	for _, path := range []string{"streams", "tokens", "users", "members", "namespaces", "notices?namespace=acme", "secrets"} {
		var raw json.RawMessage
		if status := r.call("GET", "/api/v1/"+path, "", &raw); status != 200 {
			r.t.Fatalf("GET %s: got %d", path, status)
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			r.t.Fatal(err)
		}
		withoutUse(v)
		b, err := json.Marshal(v)
		if err != nil {
			r.t.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	return out.String()
}

// withoutUse removes what every request changes.
func withoutUse(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"last_used_at", "lag_seconds", "ledger", "lanes", "health"} {
			delete(v, name)
		}
		for _, m := range v {
			withoutUse(m)
		}
	case []any:
		for _, m := range v {
			withoutUse(m)
		}
	}
}

// try makes a request and returns the answer.
func (r *refusals) try(b bad) (status int, answer string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), b.method, r.url+b.path, strings.NewReader(b.body))
	if err != nil {
		r.t.Fatal(err)
	}
	if name, value, ok := strings.Cut(b.header, ": "); ok {
		req.Header.Set(name, value)
	}
	if b.path == "/api/graphql" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func asQuery(query string) string {
	b, _ := json.Marshal(map[string]string{"query": query}) // text always can be
	return string(b)
}

// refusedByAll are callers and objects that no surface knows.
func (r *refusals) refusedByAll() []bad {
	var out []bad
	for who, header := range map[string]string{"nobody": "", "a wrong token": "Authorization: Bearer slc_wrong", "a revoked token": r.revoked, "a disabled user": r.disabled} {
		for _, path := range []string{"/api/v1/streams", "/api/v1/events", "/api/v1/me", "/enterprises/acme/audit-log", "/api/v3/enterprises/acme/audit-log/streams", "/api/v4/groups/acme/audit_events"} {
			out = append(out, bad{who + " at " + path, "GET", path, header, "", 401, ""})
		}
		if header != "" {
			out = append(out, bad{who + " at GraphQL", "POST", "/api/graphql", header, asQuery(`{ group(fullPath: "acme") { id } }`), 401, ""})
		}
		out = append(out, bad{who + " posts", "POST", "/api/v1/events", header, `{"event_type":"x","entity_path":"acme"}`, 401, ""},
			bad{who + " at the collector", "POST", "/services/collector", strings.Replace(header, "Bearer", "Splunk", 1), `{"event":{}}`, map[bool]int{true: 401, false: 403}[header == ""], ""})
	}
	for what, header := range map[string]string{"a producer": r.producer, "a reader of the log": r.reader, "an auditor": r.auditor} {
		out = append(out, bad{what + " changes a stream", "PATCH", "/api/v1/streams/1", header, `{"active":true}`, 403, "forbidden"},
			bad{what + " makes a stream for GitHub", "POST", "/enterprises/acme/audit-log/streams", header, `{}`, 403, "not accessible"})
	}
	for what, path := range map[string]string{"theirs": "/api/v1/streams/2", "none": "/api/v1/streams/4711"} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			out = append(out, bad{method + " " + what, method, path, r.jane, `{}`, 404, "there is no such thing here"})
		}
	}
	return append(out,
		bad{"foreign log", "GET", "/api/v1/events?namespace=umbra", r.jane, "", 404, "there is no such thing here"},
		bad{"absent log", "GET", "/api/v1/events?namespace=nowhere", r.jane, "", 404, "there is no such thing here"},
		bad{"foreign enterprise", "GET", "/enterprises/umbra/audit-log", r.jane, "", 404, "Not Found"},
		bad{"foreign organization", "GET", "/orgs/umbra/audit-log", r.jane, "", 404, "Not Found"},
		bad{"foreign stream of GitHub", "GET", "/enterprises/acme/audit-log/streams/2", r.jane, "", 404, "Not Found"},
		bad{"foreign group", "GET", "/api/v4/groups/umbra/audit_events", r.jane, "", 404, "404 "},
		bad{"foreign destination", "POST", "/api/graphql", r.jane, asQuery(`mutation { externalAuditEventDestinationDestroy(input: { id: "gid://gitlab/AuditEvents::ExternalAuditEventDestination/2" }) { errors } }`), 200, "does not exist or you don't have permission"},
		bad{"foreign group of GraphQL", "POST", "/api/graphql", r.jane, asQuery(`{ group(fullPath: "umbra") { id } }`), 200, `"group":null`})
}

// badStreams are streams that no surface makes.
func (r *refusals) badStreams() []bad {
	list := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`{"name":"X-%d","value":"v"}`, i))
		}
		return strings.Join(out, ",")
	}
	var out []bad
	for what, c := range map[string][2]string{
		"the token's header":  {`"url":"https://198.51.100.9/","headers":[{"name":"x-gitlab-EVENT-streaming-token","value":"v"}]`, "config.headers"},
		"21 headers":          {`"url":"https://198.51.100.9/","headers":[` + list(21) + `]`, "20"},
		"a header twice":      {`"url":"https://198.51.100.9/","headers":[{"name":"X-A","value":"v"},{"name":"x-a","value":"v"}]`, "config.headers"},
		"a broken header":     {`"url":"https://198.51.100.9/","headers":[{"name":"X-A","value":"a\nb"}]`, "config.headers"},
		"credentials":         {`"url":"https://user:pass@198.51.100.9/"`, "config.url"},
		"another scheme":      {`"url":"ftp://198.51.100.9/"`, "config.url"},
		"a file":              {`"url":"file:///etc/passwd"`, "config.url"},
		"loopback":            {`"url":"https://127.0.0.1/"`, "address"},
		"loopback by number":  {`"url":"https://2130706433/"`, "ends in a number"},
		"loopback mapped":     {`"url":"https://[::ffff:127.0.0.1]/"`, "address"},
		"metadata":            {`"url":"http://169.254.169.254/latest"`, "address"},
		"metadata by NAT64":   {`"url":"https://[64:ff9b::a9fe:a9fe]/"`, "address"},
		"private":             {`"url":"https://10.1.2.3/"`, "address"},
		"a long address":      {`"url":"https://198.51.100.9/` + strings.Repeat("a", 5000) + `"`, "config.url"},
		"no address":          {`"url":""`, "config.url"},
		"an unknown field":    {`"url":"https://198.51.100.9/","proxy":"http://x/"`, "proxy"},
		"an unknown format":   {`"url":"https://198.51.100.9/","format":"xml"`, "format"},
		"too much at once":    {`"url":"https://198.51.100.9/","concurrency":1000000`, "concurrency"},
		"a number for a text": {`"url":7`, "config"},
	} {
		body := `{"namespace":"acme","kind":"http","config":{` + c[0] + `}}`
		out = append(out, bad{what, "POST", "/api/v1/streams", r.jane, body, 400, c[1]},
			bad{what + ", changed", "PATCH", "/api/v1/streams/1", r.jane, `{"config":{` + c[0] + `}}`, 400, c[1]},
			bad{what + ", checked", "POST", "/api/v1/streams/check", r.jane, body, 400, c[1]})
	}
	post := func(name, body string, status int, says string) {
		out = append(out, bad{name, "POST", "/api/v1/streams", r.jane, body, status, says})
	}
	const there = `"kind":"http","config":{"url":"https://198.51.100.9/"}`
	post("a name that is taken", `{"namespace":"acme","name":"siem",`+there+`}`, 409, "siem")
	post("a long name", `{"namespace":"acme","name":"`+strings.Repeat("n", 73)+`",`+there+`}`, 400, "72")
	post("a foreign namespace", `{"namespace":"umbra",`+there+`}`, 404, "")
	post("the instance", `{"namespace":"",`+there+`}`, 404, "")
	post("a short token", `{"namespace":"acme",`+there+`,"secrets":{"verification_token":"short"}}`, 400, "16")
	post("an unknown secret", `{"namespace":"acme",`+there+`,"secrets":{"password":"x"}}`, 400, "password")
	post("a foreign filter", `{"namespace":"acme",`+there+`,"filter":{"namespaces":["umbra"]}}`, 400, "filter")
	post("a field twice", `{"namespace":"acme","namespace":"acme",`+there+`}`, 400, "namespace")
	post("not JSON", `{"namespace"`, 400, "")
	post("deep", strings.Repeat(`{"config":`, 5000)+`1`+strings.Repeat(`}`, 5000), 400, "")
	post("large", `{"namespace":"acme","name":"`+strings.Repeat("n", 2<<20)+`"}`, 413, "")
	splunk := func(token string) string {
		return `{"enabled":true,"stream_type":"Splunk","vendor_specific":{"domain":"198.51.100.9","port":443,"key_id":"1","encrypted_token":"` + token + `","ssl_verify":true}}`
	}
	for what, body := range map[string]string{
		"a box for another key": splunk(r.wrongKey), "no box": splunk("f3a1"), "an empty box": splunk(""),
		"another type": `{"enabled":true,"stream_type":"Azure Blob Storage","vendor_specific":{}}`,
	} {
		out = append(out, bad{what, "POST", "/enterprises/acme/audit-log/streams", r.jane, body, 422, "Validation Failed"})
	}
	return out
}

// bombs are queries that would cost too much.
func (r *refusals) bombs() []bad {
	fragment := "{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }"
	aliases := "{ " + strings.Repeat(`a: group(fullPath: "acme") { id } `, 200) + "}"
	wide := "{"
	for i := range 400 {
		wide += fmt.Sprintf(` a%d: auditEventDefinitions { nodes { name description featureCategory } }`, i)
	}
	return []bad{
		{"a circle of fragments", "POST", "/api/graphql", r.jane, asQuery(fragment), 200, "errors"},
		{"deep", "POST", "/api/graphql", r.jane, asQuery(strings.Repeat(`{ group(fullPath: "acme") `, 300) + `{ id }` + strings.Repeat("}", 300)), 200, "errors"},
		{"many aliases", "POST", "/api/graphql", r.jane, asQuery(aliases), 200, "errors"},
		{"wide", "POST", "/api/graphql", r.jane, asQuery(wide + "}"), 422, "errors"},
		{"large", "POST", "/api/graphql", r.jane, asQuery("{ " + strings.Repeat("#", 2<<20) + "}"), 413, "errors"},
		{"many queries", "POST", "/api/graphql", r.jane, "[" + strings.Repeat(asQuery("{ __typename }")+",", 100) + asQuery("{ __typename }") + "]", 400, "errors"},
		{"not GraphQL", "POST", "/api/graphql", r.jane, asQuery("drop table"), 200, "errors"},
	}
}

// TestBadRequests has every surface refuse what must not be done: the documented
// error, no word of another tenant, nothing changed, and nothing of it told as done.
func TestBadRequests(t *testing.T) {
	r := newRefusals(t)
	const setUp = 20 // events of newRefusals and of the start
	before := r.state()
	r.told(setUp)
	for _, list := range [][]bad{r.refusedByAll(), r.badStreams(), r.bombs()} {
		for _, b := range list {
			status, answer := r.try(b)
			if status != b.status || !strings.Contains(answer, b.says) {
				t.Errorf("%s (%s %s): got %d with %.300s, want %d with %q", b.name, b.method, b.path, status, answer, b.status, b.says)
			}
			for _, secret := range []string{"theirs", "kept-secret", "198.51.100.8"} {
				if strings.Contains(answer, secret) {
					t.Errorf("%s: the answer tells of %s: %.300s", b.name, secret, answer)
				}
			}
		}
	}
	if after := r.state(); after != before {
		t.Errorf("something was changed:\n%s\nbefore:\n%s", after, before)
	}
	r.must("/api/v1/tokens", `{"namespace":"acme"}`) // what came before has been told when this has
	if got := r.told(setUp + 1); got != setUp+1 {
		t.Errorf("got %d events about changes, want %d", got, setUp+1)
	}
}

// told waits for as many events in which Sluice tells about changes, and counts
// them.
func (r *refusals) told(atLeast int) (n int) {
	r.t.Helper()
	var out struct {
		Events []json.RawMessage `json:"events"`
	}
	wait(r.t, "the events about changes", func() bool {
		status := r.call("GET", "/api/v1/events?phrase=source:sluice&limit=1000", "", &out)
		return status == 200 && len(out.Events) >= atLeast
	})
	return len(out.Events)
}
