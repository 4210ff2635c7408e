package resttest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/rest/resttest"
)

const small = `
openapi: 3.1.0
info: {title: small, version: "1"}
paths:
  /things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
    get:
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 9}}
      responses:
        "200":
          description: a thing
          headers: {Link: {schema: {type: string}}, Etag: {required: true, schema: {type: string}}}
          content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
        "404": {description: none}
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
      responses:
        "200": {description: done}
components:
  responses:
    MethodNotAllowed:
      description: other
      headers: {Allow: {required: true, schema: {type: string}}}
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [name]
      properties: {name: {type: string}, at: {type: string, format: date-time}}
`

// errorsOf notes what a test would have been told.
type errorsOf struct {
	testing.TB
	list []string
}

func (e *errorsOf) Errorf(format string, args ...any) {
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// Whatever an answer has that its document does not know is told, and nothing else.
func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, sent string
		status                   int
		header, body             string
		want                     string // "": nothing is wrong
	}{
		{"as documented", "GET", "/things/1?limit=9", "", 200, "Etag", `{"name":"a","at":"2026-03-01T10:00:00Z"}`, ""},
		{"another member", "GET", "/things/1", "", 200, "Etag", `{"name":"a","size":1}`, "'size' not allowed"},
		{"a member less", "GET", "/things/1", "", 200, "Etag", `{}`, "missing property 'name'"},
		{"another type", "GET", "/things/1", "", 200, "Etag", `{"name":7}`, "want string"},
		{"another format", "GET", "/things/1", "", 200, "Etag", `{"name":"a","at":"noon"}`, "not valid date-time"},
		{"another status", "GET", "/things/1", "", 202, "Etag", `{"name":"a"}`, "status"},
		{"a header less", "GET", "/things/1", "", 200, "", `{"name":"a"}`, "Etag is missing"},
		{"another header", "GET", "/things/1", "", 404, "Retry-After", "", "Retry-After"},
		{"a body more", "GET", "/things/1", "", 404, "", "nothing", "no body"},
		{"another parameter", "GET", "/things/1?size=1", "", 200, "Etag", `{"name":"a"}`, "size"},
		{"a parameter out of bounds", "GET", "/things/1?limit=10", "", 200, "Etag", `{"name":"a"}`, "limit"},
		{"a body as documented", "POST", "/things/1", `{"name":"a"}`, 200, "", "", ""},
		{"another body", "POST", "/things/1", `{"nmae":"a"}`, 200, "", "", "nmae"},
		{"no body", "POST", "/things/1", "", 200, "", "", "requires one"},
		{"another method", "PUT", "/things/1", "", 200, "", "", "method"},
		{"another method that is refused", "PUT", "/things/1", "", 405, "Allow", "", ""},
		{"another path", "GET", "/thing", "", 200, "", "", "path"},
		{"another path that is not there", "GET", "/thing", "", 404, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := resttest.Read([]byte(small))
			if err != nil {
				t.Fatal(err)
			}
			told := &errorsOf{TB: t}
			h := d.Watch(told, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				var text [100]byte
				_, _ = r.Body.Read(text[:])
				w.Header().Set("Content-Type", "application/json")
				if tt.header != "" {
					w.Header().Set(tt.header, "1")
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.sent)))
			if got := strings.Join(told.list, "\n"); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want it to mention %q", got, tt.want)
			}
			if got := len(d.Unseen()); tt.name == "as documented" && got != 1 {
				t.Errorf("got %v not seen, want the other operation", d.Unseen())
			}
		})
	}
}

// Examples are compared with their schemas.
func TestExamples(t *testing.T) {
	good := strings.Replace(small, "schema: {type: integer, maximum: 9}", "schema: {type: integer, maximum: 9}, example: 9", 1)
	for text, want := range map[string]bool{good: true, strings.Replace(good, "example: 9", "example: 10", 1): false} {
		d, err := resttest.Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.CheckExamples(); (err == nil) != want {
			t.Errorf("got %v, want no error: %v", err, want)
		}
	}
}
