package five

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/bench/server"
	"github.com/sluicelog/sluice/client"
)

// reader is somebody who reads what the server shows: the pages as a browser does,
// the APIs as a program does.
type reader struct {
	name    string
	token   string
	browser *http.Client // signed in
	// The verification token is for owners, since receivers compare it; so are, by
	// API alone, the values of headers.
	sees, reads []string
}

const readersPassword = "five readers have one password"

// operator is the role of users who are administrators.
const operator = "operator"

// newReader makes a user with a role, a token of that user's, and signs the user in.
func (w *world) newReader(t *testing.T, role string) *reader {
	t.Helper()
	ctx, admin := t.Context(), w.server.Admin
	r := &reader{name: "five-" + role}
	if _, err := admin.CreateUser(ctx, client.UserSpec{Name: r.name, Password: readersPassword, Administrator: role == operator}); err != nil {
		t.Fatal(err)
	}
	if role != operator {
		if _, err := admin.SetMember(ctx, client.MemberSpec{Namespace: namespace, User: r.name, Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := admin.CreateToken(ctx, client.TokenSpec{Kind: client.Personal, User: r.name, Name: "of " + r.name, Scopes: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	r.token = made.Token
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.browser = &http.Client{Jar: jar}
	form := url.Values{"name": {r.name}, "password": {readersPassword}}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.URL()+"/-/sign_in", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, text, err := answer(r.browser, q); err != nil || status != http.StatusOK || bytes.Contains(text, []byte(`name="password"`)) {
		t.Fatalf("sign %s in: got %d (%v)", r.name, status, err)
	}
	return r
}

func answer(c *http.Client, q *http.Request) (status int, text []byte, err error) {
	resp, err := c.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// judgeSurfaces looks for secrets in all that the server shows of the streams: its
// metrics, its pages, and the answers of each API, to an administrator's token, to an
// administrator, an owner and an auditor.
// It returns what is wrong, and all secrets, those of the readers included.
func (w *world) judgeSurfaces(t *testing.T, secrets []string) (found, all []string) {
	t.Helper()
	admin := &reader{name: "administrator", token: server.AdminToken}
	operator, owner, auditor := w.newReader(t, operator), w.newReader(t, client.Owner), w.newReader(t, client.Auditor)
	all = append(secrets, operator.token, owner.token, auditor.token, readersPassword)
	look := func(r *reader, method, path string, body []byte) {
		found = append(found, w.inspect(t, r, method, path, body, all)...)
	}
	owner.sees = []string{verificationToken}
	owner.reads = []string{verificationToken, headerValue}
	admin.reads, operator.sees, operator.reads = owner.reads, owner.sees, owner.reads
	for _, r := range []*reader{admin, operator, owner, auditor} {
		for _, path := range w.answers(r) {
			look(r, http.MethodGet, path, nil)
		}
		for _, query := range graphs() {
			body, err := json.Marshal(map[string]string{"query": query})
			if err != nil {
				t.Fatal(err)
			}
			look(r, http.MethodPost, "/api/graphql", body)
		}
		if r.browser != nil {
			for _, path := range w.pages(r != auditor) {
				look(r, http.MethodGet, path, nil)
			}
		}
		if r == operator {
			for _, path := range instancePages() {
				look(r, http.MethodGet, path, nil)
			}
		}
	}
	return found, all
}

// ownEvents reads all that the server wrote about itself: in the files of the log it
// is compressed, where a text is not always found.
const ownEvents = "/api/v1/events/export?format=ndjson&phrase=-actor:" + canary

// answers are what the APIs have of streams, their failures and the log.
func (w *world) answers(r *reader) []string {
	list := []string{
		"/api/v1/streams?namespace=" + namespace, "/api/v1/me", "/api/v1/kinds",
		"/api/v1/events?limit=100&namespace=" + namespace, ownEvents + "&namespace=" + namespace,
		"/api/v3/enterprises/" + namespace + "/audit-log/streams", "/api/v3/enterprises/" + namespace + "/audit-log?per_page=100",
		"/api/v4/groups/" + namespace + "/audit_events?per_page=100",
	}
	for _, id := range w.streams {
		stream := fmt.Sprintf("/api/v1/streams/%d", id)
		list = append(list, stream, stream+"/attempts?limit=200", stream+"/quarantine?limit=100", stream+"/activity", stream+"/lag")
	}
	if r.browser == nil {
		list = append(list, ownEvents, "/metrics", "/api/v1/info", "/api/v1/tokens", "/api/v1/members?namespace="+namespace, "/api/v1/users", "/api/v1/secrets")
	}
	return list
}

// graphs asks for streams as GitLab's clients do, in both of its forms.
func graphs() []string {
	return []string{
		`query { group(fullPath: "` + namespace + `") { externalAuditEventStreamingDestinations { nodes { id name category config secretToken eventTypeFilters active } } } }`,
		`query { group(fullPath: "` + namespace + `") { externalAuditEventDestinations { nodes { id name destinationUrl verificationToken headers { nodes { key value active } } } } } }`,
	}
}

// pages are those about streams, and, for owners, those on which they are changed.
func (w *world) pages(owner bool) []string {
	const root = "/-/groups/" + namespace
	list := []string{"/-/", root + "/audit-log", root + "/log-streaming", "/-/account/tokens"}
	for _, id := range w.streams {
		stream := fmt.Sprintf("%s/streams/%d", root, id)
		list = append(list, stream, stream+"/quarantine")
		if owner {
			configure := fmt.Sprintf("%s/log-streaming/%d", root, id)
			list = append(list, stream+"/replay", configure, configure+"/pause", configure+"/delete")
		}
	}
	if owner {
		for _, r := range w.receivers {
			list = append(list, root+"/log-streaming/new?kind="+r.kind)
		}
		list = append(list, root+"/members", root+"/tokens")
	}
	return list
}

// instancePages are for administrators.
func instancePages() (list []string) {
	for _, end := range []string{"audit-log", "log-streaming", "log-streaming/new?kind=" + kindHTTP, "tokens", "users", "system"} {
		list = append(list, "/-/instance/"+end)
	}
	return list
}

// inspect reads a page or an answer, which has to be there, and looks for secrets.
func (w *world) inspect(t *testing.T, r *reader, method, path string, body []byte, secrets []string) []string {
	t.Helper()
	what := fmt.Sprintf("%s %s, for the %s", method, path, r.name)
	q, err := http.NewRequestWithContext(t.Context(), method, w.server.URL()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	page, c := strings.HasPrefix(path, "/-/"), http.DefaultClient
	if page {
		c = r.browser
	} else {
		q.Header.Set("Authorization", "Bearer "+r.token)
		q.Header.Set("Content-Type", "application/json")
	}
	status, text, err := answer(c, q)
	if err != nil || status != http.StatusOK {
		return []string{fmt.Sprintf("%s: got %d (%v): %.300s", what, status, err, text)}
	}
	switch {
	case page:
		text = fmt.Append(text, html.UnescapeString(string(text)))
		return leaks(what, text, without(secrets, r.sees))
	case path == "/metrics": // whoever may read them
		return leaks(what, text, secrets)
	}
	return leaks(what, text, without(secrets, r.reads))
}

// without returns the texts of all that are not among some.
func without(all, some []string) (out []string) {
	for _, s := range all {
		if !slices.Contains(some, s) {
			out = append(out, s)
		}
	}
	return out
}
