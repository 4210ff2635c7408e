package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// api is a server of the native API as far as the commands use it: it keeps
// everything in memory and delivers each event at once.
type api struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	calls   []string // "METHOD path body"
	events  []map[string]any
	ids     map[string]bool
	streams []*apiStream
	answer  func(w http.ResponseWriter, r *http.Request, body []byte) bool // answers instead, when true
}

type apiStream struct {
	client.StreamSpec
	ID     sluice.StreamID `json:"id"`
	Status sluice.Status   `json:"status"`
	Ledger sluice.Ledger   `json:"ledger"`
	Health json.RawMessage `json:"health"`
}

func newAPI(t *testing.T) *api {
	a := &api{t: t, ids: make(map[string]bool)}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(r *http.Request, body []byte) (int, any){
		"POST /api/v1/events":         a.postEvents,
		"POST /api/v1/streams":        a.createStream,
		"GET /api/v1/streams":         func(*http.Request, []byte) (int, any) { return 200, a.streams },
		"GET /api/v1/streams/{id}":    a.showStream,
		"PATCH /api/v1/streams/{id}":  a.showStream,
		"DELETE /api/v1/streams/{id}": func(*http.Request, []byte) (int, any) { return 204, nil },
		"POST /api/v1/streams/check":  a.check,
		"POST /api/v1/streams/preview": func(*http.Request, []byte) (int, any) {
			return 200, json.RawMessage(`{"delivered":12,"filtered":3,"days":[{"day":"2026-03-01","delivered":12,"filtered":3}],"types":[{"type":"a","delivered":12,"filtered":3}],"lag_seconds":40}`)
		},
		"POST /api/v1/streams/{id}/check":  a.check,
		"POST /api/v1/streams/{id}/pause":  a.showStream,
		"POST /api/v1/streams/{id}/resume": a.showStream,
		"POST /api/v1/streams/{id}/retry": func(*http.Request, []byte) (int, any) {
			return 200, client.Retried{Message: "nothing to do"}
		},
		"GET /api/v1/streams/{id}/quarantine":            a.quarantine,
		"POST /api/v1/streams/{id}/quarantine/redeliver": a.count,
		"POST /api/v1/streams/{id}/quarantine/drop":      a.count,
		"GET /api/v1/streams/{id}/attempts": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"attempts": []client.Attempt{{MS: 12.5, Partition: "audit", First: 1, Last: 3, Events: 3, Outcome: "unavailable", Status: 503, Message: "busy"}}}
		},
		"GET /api/v1/streams/{id}/activity": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"minutes": []client.Minute{{Delivered: 17, Failures: 2}}}
		},
		"GET /api/v1/streams/{id}/lag": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"samples": []client.LagSample{{Events: 1204, Seconds: 190}}}
		},
		"GET /api/v1/counts": func(r *http.Request, _ []byte) (int, any) {
			if r.URL.Query().Get("by") == "namespace" {
				return 200, map[string]any{"hours": []client.Hour{{Events: 10, Namespaces: map[string]uint64{"acme": 2, "acme/web": 7}, OtherNamespaces: 1}}}
			}
			return 200, map[string]any{"hours": []client.Hour{{Events: 10, Types: map[string]uint64{"a": 1, "b": 5, "c": 2, "d": 2}}}}
		},
		"GET /api/v1/notices": func(*http.Request, []byte) (int, any) { return 200, map[string]any{"addresses": []client.Address{}} },
		"PUT /api/v1/notices": func(_ *http.Request, body []byte) (int, any) { return 200, json.RawMessage(body) },
		"POST /api/v1/notices/test": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"results": []client.NoticeTest{{Kind: "email", OK: true, Message: "taken"}, {Kind: "http", Message: "answered 403"}}}
		},
		"GET /api/v1/kinds": func(*http.Request, []byte) (int, any) {
			return 200, json.RawMessage(`{"kinds":[{"name":"s3","title":"Amazon S3","about":"Objects in a bucket.","notes":["Block public access."],"fields":[` +
				`{"name":"config.bucket","label":"Bucket name","type":"text","required":true,"hint":"The name alone."},` +
				`{"name":"config.object_seconds","label":"Seconds","type":"number","default":60,"hint":"Or when it is this old."},` +
				`{"name":"config.mode","label":"Mode","type":"choice","default":"a","options":[{"value":"a","label":"A"},{"value":"b","label":"B"}],"hint":"Which."}]}]}`)
		},
		"GET /api/v1/info": func(*http.Request, []byte) (int, any) {
			return 200, client.Info{Version: "1", EgressAddresses: []string{"192.0.2.0/28"}, Notices: []string{"http"}}
		},
		"POST /api/v1/tokens":        a.createToken,
		"GET /api/v1/tokens":         a.tokens,
		"DELETE /api/v1/tokens/{id}": func(*http.Request, []byte) (int, any) { return 204, nil },
		"POST /api/v1/users":         a.user,
		"PATCH /api/v1/users/{id}":   a.user,
		"GET /api/v1/users": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"users": []client.User{{ID: "u1", Name: "jane", Administrator: true, Roles: map[string]string{"acme": "owner"}}}}
		},
		"GET /api/v1/members": func(*http.Request, []byte) (int, any) {
			return 200, map[string]any{"members": []client.Member{{Namespace: "acme", User: "u1", Name: "jane", Role: "owner"}}}
		},
		"POST /api/v1/members": func(*http.Request, []byte) (int, any) {
			return 200, client.Member{Namespace: "acme", User: "u1", Name: "jane", Role: "owner"}
		},
		"DELETE /api/v1/members": func(*http.Request, []byte) (int, any) { return 200, map[string]string{} },
		"GET /api/v1/me": func(*http.Request, []byte) (int, any) {
			return 200, client.Me{Kind: "user", ID: "u1", Name: "jane", Roles: map[string]string{"acme": "owner"}, Token: "t3", Scopes: []string{"api"}}
		},
		"POST /api/v1/namespaces": a.createNamespace,
		"GET /api/v1/namespaces": func(*http.Request, []byte) (int, any) {
			return 200, []client.Namespace{{ID: 1, Path: "acme", Kind: "group"}}
		},
	} {
		mux.HandleFunc(pattern, a.wrap(handle))
	}
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// user answers with the user that is named; one without a password gets one.
func (a *api) user(r *http.Request, body []byte) (int, any) {
	var in struct{ Name, Password *string }
	if err := json.Unmarshal(body, &in); err != nil {
		a.t.Error(err)
	}
	out := client.User{ID: "u1", Name: r.PathValue("id")}
	if in.Name != nil {
		out.Name = *in.Name
	}
	if in.Name != nil && in.Password == nil || in.Password != nil && *in.Password == "" {
		out.Password = "made-password"
	}
	return 200, out
}

func (a *api) wrap(handle func(*http.Request, []byte) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls = append(a.calls, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		if r.Header.Get("Authorization") != "Bearer secret" && r.Header.Get("Authorization") != "Bearer producer" {
			writeAnswer(w, 401, apiError("unauthorized", "unknown token", "Make one.", nil))
			return
		}
		if a.answer != nil && a.answer(w, r, body) {
			return
		}
		status, v := handle(r, body)
		writeAnswer(w, status, v)
	}
}

func writeAnswer(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	if v != nil {
		json.NewEncoder(w).Encode(v)
	}
}

func apiError(code, message, hint string, events []client.EventError) any {
	return map[string]any{"error": map[string]any{"code": code, "message": message, "hint": hint, "events": events}}
}

// postEvents takes objects with an "action"; an event without an id gets one of
// the Idempotency-Key and its index.
func (a *api) postEvents(r *http.Request, body []byte) (int, any) {
	var events []map[string]any
	var bad []client.EventError
	for i, text := range bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
		var e map[string]any
		if err := json.Unmarshal(text, &e); err != nil || e["action"] == nil {
			bad = append(bad, client.EventError{Index: i, Code: "invalid", Message: "no event", Hint: "Give it an action."})
			continue
		}
		if e["id"] == nil {
			e["id"] = fmt.Sprintf("%s/%d", r.Header.Get("Idempotency-Key"), i)
		}
		events = append(events, e)
	}
	if bad != nil {
		return 400, apiError("invalid", fmt.Sprintf("%d bad events", len(bad)), "", bad)
	}
	res := client.EventsResult{Last: map[string]uint64{}}
	for _, e := range events {
		id := fmt.Sprint(e["id"])
		if a.ids[id] {
			res.Duplicates++
			continue
		}
		a.ids[id] = true
		a.events = append(a.events, e)
		res.Accepted++
		res.Last["git"] = uint64(len(a.events))
		a.deliver(e)
	}
	return 200, res
}

func (a *api) deliver(e map[string]any) {
	text, _ := json.Marshal(e)
	for _, s := range a.streams {
		var config struct{ URL string }
		json.Unmarshal(s.Config, &config)
		req, err := http.NewRequest(http.MethodPost, config.URL, bytes.NewReader(text))
		if err != nil {
			a.t.Error(err)
			return
		}
		req.Header.Set("X-Gitlab-Event-Streaming-Token", s.Secrets["verification_token"])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			a.t.Error(err)
			return
		}
		res.Body.Close()
		s.Ledger.Accepted++
		s.Ledger.Delivered++
	}
}

func (a *api) createStream(_ *http.Request, body []byte) (int, any) {
	s := &apiStream{ID: sluice.StreamID(len(a.streams) + 1), Status: sluice.StatusActive, Health: json.RawMessage(`{"last_error":null}`)}
	if err := json.Unmarshal(body, &s.StreamSpec); err != nil {
		return 400, apiError("invalid", err.Error(), "", nil)
	}
	a.streams = append(a.streams, s)
	return 201, s
}

func (a *api) showStream(r *http.Request, _ []byte) (int, any) {
	for _, s := range a.streams {
		if fmt.Sprint(s.ID) == r.PathValue("id") {
			return 200, s
		}
	}
	return 404, apiError("not_found", "there is no such stream", "\"sluice stream list\" shows them.", nil)
}

func (a *api) check(*http.Request, []byte) (int, any) {
	return 200, client.CheckResult{OK: false, Stages: []client.Stage{{Name: "dial", OK: true, MS: 1}, {Name: "accept", Message: "answered 401"}}}
}

func (a *api) quarantine(*http.Request, []byte) (int, any) {
	return 200, map[string]any{"events": []map[string]any{{"partition": "audit", "seq": 17, "id": "e17", "type": "x", "reason": "400"}}}
}

func (a *api) count(_ *http.Request, body []byte) (int, any) {
	var act client.QuarantineAct
	if err := json.Unmarshal(body, &act); err != nil {
		return 400, apiError("invalid", err.Error(), "", nil)
	}
	return 200, map[string]int{"count": min(2, max(1, len(act.Events)))}
}

func (a *api) createToken(_ *http.Request, body []byte) (int, any) {
	var t client.Token
	json.Unmarshal(body, &t)
	t.ID = "7"
	if t.Token == "" {
		t.Token = "producer"
	}
	return 201, t
}

func (a *api) tokens(*http.Request, []byte) (int, any) {
	return 200, map[string]any{"tokens": []map[string]any{{"id": 7, "kind": "producer", "namespace": "acme", "name": "ci"}}}
}

func (a *api) createNamespace(_ *http.Request, body []byte) (int, any) {
	n := client.Namespace{ID: 1}
	json.Unmarshal(body, &n)
	return 201, n
}

// set changes the api while it serves.
func (a *api) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *api) stored() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.events)
}

// took returns the values of "n" of all events, in order.
func (a *api) took() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, e := range a.events {
		fmt.Fprintf(&b, "%v ", e["n"])
	}
	return b.String()
}

func (a *api) lastCall() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.calls) == 0 {
		return ""
	}
	return a.calls[len(a.calls)-1]
}

// environ reaches the api as an administrator.
func (a *api) environ() []string {
	return []string{"SLUICE_SERVER=" + a.URL, "SLUICE_TOKEN=secret"}
}
