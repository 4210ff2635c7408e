package cloudloggingtest

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	project = "acme-audit-1234"
	front   = `{"logName":"projects/acme-audit-1234/logs/a%2Fb","resource":{"type":"global"},`
)

// start returns a Google on loopback, its address and its account.
func start(t *testing.T) (*Google, string, Account) {
	t.Helper()
	a, err := NewAccount(project)
	if err != nil {
		t.Fatal(err)
	}
	g := New(a.Config())
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return g, s.URL, a
}

// sign makes a proof by hand.
func sign(t *testing.T, key *rsa.PrivateKey, header, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const rs256 = `{"alg":"RS256","typ":"JWT"}`

func claims(email, scope, aud string, issued time.Time, life time.Duration) string {
	return fmt.Sprintf(`{"iss":%q,"scope":%q,"aud":%q,"iat":%d,"exp":%d}`, email, scope, aud, issued.Unix(), issued.Add(life).Unix())
}

func ask(t *testing.T, address, grant, assertion string) (status int, answer map[string]any) {
	t.Helper()
	resp, err := http.PostForm(address+TokenPath, url.Values{"grant_type": {grant}, "assertion": {assertion}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func TestProofsAreVerified(t *testing.T) {
	_, address, a := start(t)
	other, err := NewAccount(project)
	if err != nil {
		t.Fatal(err)
	}
	now, aud := time.Now(), address+TokenPath
	good := claims(a.Email, writeScope, aud, now, time.Hour)
	for _, c := range []struct{ name, grant, proof, want string }{
		{"good", grantType, sign(t, a.Key, rs256, good), ""},
		{"another key", grantType, sign(t, other.Key, rs256, good), "Invalid JWT Signature."},
		{"changed afterwards", grantType, strings.Replace(sign(t, a.Key, rs256, good), ".", ".e30", 1), "Invalid JWT claims."},
		{"not signed", grantType, sign(t, a.Key, `{"alg":"none","typ":"JWT"}`, good), "Invalid JWT header."},
		{"another account", grantType, sign(t, a.Key, rs256, claims("x@y.example", writeScope, aud, now, time.Hour)), "Invalid grant: account not found"},
		{"another scope", grantType, sign(t, a.Key, rs256, claims(a.Email, "https://www.googleapis.com/auth/cloud-platform", aud, now, time.Hour)), "Invalid OAuth scope or ID token audience provided."},
		{"another audience", grantType, sign(t, a.Key, rs256, claims(a.Email, writeScope, "https://elsewhere.example", now, time.Hour)), "Invalid JWT: Failed audience check."},
		{"over", grantType, sign(t, a.Key, rs256, claims(a.Email, writeScope, aud, now.Add(-2*time.Hour), time.Hour)), badTime},
		{"not yet", grantType, sign(t, a.Key, rs256, claims(a.Email, writeScope, aud, now.Add(time.Minute), time.Hour)), badTime},
		{"too long", grantType, sign(t, a.Key, rs256, claims(a.Email, writeScope, aud, now, 2*time.Hour)), badTime},
		{"more claims", grantType, sign(t, a.Key, rs256, good[:len(good)-1]+`,"sub":"x"}`), "Invalid JWT claims."},
		{"no proof", grantType, "abc", "Bad Request"},
		{"another grant", "password", "", "Invalid grant_type: password"},
	} {
		status, answer := ask(t, address, c.grant, c.proof)
		if c.want == "" {
			if status != http.StatusOK || answer["token_type"] != "Bearer" || answer["access_token"] == "" || answer["expires_in"] != float64(3600) {
				t.Errorf("%s: got %d %v, want a token", c.name, status, answer)
			}
			continue
		}
		if status != http.StatusBadRequest || answer["error_description"] != c.want {
			t.Errorf("%s: got %d %v, want 400 and %q", c.name, status, answer, c.want)
		}
	}
}

// post sends a write request with a good token.
func post(t *testing.T, g *Google, address, body string, header http.Header) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address+WritePath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + g.grant()}}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func entries(list ...string) string { return `"entries":[` + strings.Join(list, ",") + `]}` }

const fine = `{"insertId":"1","timestamp":"2026-03-01T10:00:00.5Z","jsonPayload":{"a":1}}`

func TestWriteRequestsAreStrict(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	io.WriteString(zip, front+entries(fine))
	zip.Close()
	soon, late := time.Now().Add(23*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(25*time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name, body string
		header     http.Header
		status     int
		words      string
		written    int
	}{
		{"plain", front + entries(fine), nil, 200, "{}", 1},
		{"gzip", packed.String(), http.Header{"Content-Encoding": {"gzip"}}, 200, "{}", 1},
		{"dry run", front + `"dryRun":true,` + entries(fine), nil, 200, "{}", 0},
		{"a day ahead", front + entries(`{"timestamp":"`+soon+`","textPayload":"x"}`), nil, 200, "{}", 1},
		{"old", front + entries(`{"timestamp":"1999-01-01T00:00:00Z","textPayload":"x"}`), nil, 200, "{}", 1},
		{"more than a day ahead", front + entries(`{"timestamp":"`+late+`","textPayload":"x"}`), nil, 400, "24 hours", 0},
		{"one wrong, all or nothing", front + entries(fine, `{"severity":"LOUD","textPayload":"x"}`), nil, 400, `"LOUD\"`, 0},
		{"one wrong, partial", front + `"partialSuccess":true,` + entries(`{"severity":"LOUD","textPayload":"x"}`, fine), nil, 400, `"logEntryErrors":{"0":{"code":3`, 1},
		{"all wrong, partial", front + `"partialSuccess":true,` + entries(`{"severity":"LOUD","textPayload":"x"}`), nil, 400, "INVALID_ARGUMENT", 0},
		{"dry run with one wrong", front + `"dryRun":true,"partialSuccess":true,` + entries(`{}`, fine), nil, 400, "exactly one payload", 0},
		{"unknown field", front + `"projectId":"x",` + entries(fine), nil, 400, "Invalid JSON payload", 0},
		{"unknown field of an entry", front + entries(`{"insertID":"1","textPayload":"x"}`), nil, 400, "entries[0]", 0},
		{"wrong type", front + `"partialSuccess":"true",` + entries(fine), nil, 400, "Invalid JSON payload", 0},
		{"label that is a number", front + entries(`{"labels":{"a":1},"textPayload":"x"}`), nil, 400, "entries[0]", 0},
		{"no time", front + entries(`{"timestamp":"yesterday","textPayload":"x"}`), nil, 400, "timestamp", 0},
		{"payload that is a list", front + entries(`{"jsonPayload":[]}`), nil, 400, "Struct", 0},
		{"number out of range", front + entries(`{"jsonPayload":{"a":1e400}}`), nil, 400, "Struct", 0},
		{"two payloads", front + entries(`{"jsonPayload":{},"textPayload":"x"}`), nil, 400, "exactly one payload", 0},
		{"largest entry", front + entries(text(maxEntry)), nil, 200, "{}", 1},
		{"too large entry", front + entries(text(maxEntry+1)), nil, 400, "exceeds maximum size of 256.0K", 0},
		{"too large request", front + entries(text(maxRequest)), nil, 400, "Request payload size exceeds", 0},
		{"no resource", `{"logName":"projects/acme-audit-1234/logs/a",` + entries(fine), nil, 400, "monitored resource", 0},
		{"no log", `{"resource":{"type":"global"},` + entries(fine), nil, 400, "missing the logs component", 0},
		{"slash in the log", strings.Replace(front, "%2F", "/", 1) + entries(fine), nil, 400, "missing the logs component", 0},
		{"other characters in the log", strings.Replace(front, "%2F", "%20", 1) + entries(fine), nil, 400, "illegal character", 0},
		{"another project", strings.Replace(front, "1234", "5678", 1) + entries(fine), nil, 404, "Project does not exist", 0},
		{"no entries", front + entries(), nil, 400, "No entries", 0},
		{"another content type", front + entries(fine), http.Header{"Content-Type": {"text/plain"}}, 400, "content type", 0},
		{"another compression", front + entries(fine), http.Header{"Content-Encoding": {"br"}}, 400, "encoding", 0},
		{"no gzip", front + entries(fine), http.Header{"Content-Encoding": {"gzip"}}, 400, "decompress", 0},
		{"another token", front + entries(fine), http.Header{"Authorization": {"Bearer ya29.c.x"}}, 401, "UNAUTHENTICATED", 0},
		{"no token", front + entries(fine), http.Header{"Authorization": nil}, 401, "UNAUTHENTICATED", 0},
	} {
		a := Account{Project: project, Email: "a@b.example"}
		g := New(Config{Project: a.Project, Email: a.Email})
		s := httptest.NewServer(g)
		status, answer := post(t, g, s.URL, c.body, c.header)
		if status != c.status || !strings.Contains(answer, c.words) || len(g.Entries()) != c.written {
			t.Errorf("%s: got %d %s and %d written, want %d, %q and %d", c.name, status, answer, len(g.Entries()), c.status, c.words, c.written)
		}
		s.Close()
	}
}

// text returns an entry of n bytes.
func text(n int) string {
	const frame = `{"textPayload":""}`
	return frame[:len(frame)-2] + strings.Repeat("x", n-len(frame)) + frame[len(frame)-2:]
}

func TestQueryShowsRepeatedEntriesOnce(t *testing.T) {
	g, address, _ := start(t)
	later := strings.Replace(fine, "10:00", "11:00", 1)
	nameless := `{"timestamp":"2026-03-01T10:00:00Z","textPayload":"x"}`
	post(t, g, address, front+entries(fine, later, fine, nameless, nameless), nil)
	post(t, g, address, front+entries(fine), nil)
	if stored, shown := len(g.Entries()), len(g.Query()); stored != 6 || shown != 4 {
		t.Errorf("entries: got %d stored and %d shown, want 6 and 4", stored, shown)
	}
}
