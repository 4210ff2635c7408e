package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/sqlite"
)

// arrivals counts what a receiver got, by id.
type arrivals struct {
	mu  sync.Mutex
	ids map[string]int
}

func (a *arrivals) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var e struct{ ID string }
	if json.NewDecoder(r.Body).Decode(&e) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[e.ID]++
}

// wantAll reports which of n posted events never arrived.
func (a *arrivals) wantAll(t *testing.T, n int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		if a.ids[fmt.Sprintf("e%d", i)] == 0 {
			t.Errorf("event e%d never arrived", i)
		}
	}
}

func (r *running) post(from, to int) {
	r.t.Helper()
	var body strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&body, `{"id":"e%d","event_type":"user.add","entity_path":"acme/web"}`+"\n", i)
	}
	if code := r.call("POST", "/api/v1/events", body.String(), nil); code != http.StatusOK {
		r.t.Fatalf("post: got %d", code)
	}
}

// prepared makes a server with a stream, 30 delivered events and a snapshot from
// when there were 20 of them, and stops it.
func prepared(t *testing.T, receiver string) (data, token string, stream streamView) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	if code := s.call("POST", "/api/v1/streams", fmt.Sprintf(`{"namespace":"acme","kind":"http","config":{"url":%q}}`, receiver), &stream); code/100 != 2 {
		t.Fatalf("create stream: got %d", code)
	}
	var made struct{ Token string }
	if code := s.call("POST", "/api/v1/tokens", `{"kind":"producer","namespace":"acme","name":"p"}`, &made); code/100 != 2 || made.Token == "" {
		t.Fatalf("create token: got %d", code)
	}
	s.post(0, 20)
	s.settled(stream.ID)
	stopped(t, s)
	all, err := listSnapshots(data)
	if err != nil || len(all) != 1 {
		t.Fatalf("snapshots after the stop: got %v, error %v; want one", all, err)
	}
	// The next stop shall not take its place.
	old := filepath.Join(data, snapshotFolder, all[0].made.Add(-2*time.Hour).Format(snapshotName))
	if err := os.Rename(all[0].path, old); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, data, http.DefaultClient)
	s.post(20, 30)
	s.settled(stream.ID)
	stopped(t, s)
	return data, made.Token, stream
}

func stopped(t *testing.T, s *running) {
	t.Helper()
	if res := s.stop(); res.code != exitOK {
		t.Fatalf("serve: got code %d: %s", res.code, res.stderr)
	}
}

// A server whose control.db has a flipped bit refuses to start, or serves as if
// there were none; the command that it names brings it back, with everything
// accepted delivered and the ledger whole.
func TestControlRestore(t *testing.T) {
	got := &arrivals{ids: map[string]int{}}
	receiver := httptest.NewServer(got)
	defer receiver.Close()
	data, token, stream := prepared(t, receiver.URL)
	path := filepath.Join(data, controlFile)
	rnd := rand.New(rand.NewPCG(7, 7))
	refused, events := 0, 30
	for refused < 3 {
		flipBit(t, path, rnd)
		res := serveIfSound(t, data, stream.ID)
		if res.code == exitOK {
			continue // it hit what nothing reads
		}
		refused++
		want := "sluice control restore --data " + data
		if res.code != exitFailure || !strings.Contains(res.stderr, "is damaged") || !strings.Contains(res.stderr, want) {
			t.Fatalf("serve: got code %d: %s; want 1 and %q", res.code, res.stderr, want)
		}
		res = sluiceRun(t.Context(), nil, "", "control", "restore", "--data", data)
		if res.code != exitOK || !strings.Contains(res.stdout, "The control state is that of ") {
			t.Fatalf("control restore: got %+v", res)
		}
		s := startServer(t, data, http.DefaultClient, "--existing")
		s.post(events, events+5)
		events += 5
		// The 30 events, what came since, and what the server tells of the stream.
		v := s.settled(stream.ID)
		if sum := v.Ledger["delivered"] + v.Ledger["filtered"] + v.Ledger["quarantined"] + v.Ledger["expired"]; sum != v.Ledger["accepted"] || v.Ledger["delivered"] < uint64(events) || v.Ledger["expired"] != 0 {
			t.Errorf("ledger after restore %d: got %v, want all of at least %d delivered", refused, v.Ledger, events)
		}
		if code := postAs(t, s, token); code != http.StatusOK {
			t.Errorf("post with the token of before: got %d", code)
		}
		var next streamView
		if code := s.call("POST", "/api/v1/streams", fmt.Sprintf(`{"namespace":"acme","kind":"http","config":{"url":%q},"active":false}`, receiver.URL), &next); code/100 != 2 || next.ID <= stream.ID+numbersLost/2 {
			t.Errorf("stream after a restore: got %d and number %d, want one that was never given", code, next.ID)
		}
		stopped(t, s)
	}
	got.wantAll(t, events)
	told := sluiceRun(t.Context(), nil, "", "log", "cat", "--data", data)
	if n := strings.Count(told.stdout, `"installation.restore"`); n != refused {
		t.Errorf("events of %d restores: got %d", refused, n)
	}
	kept, err := filepath.Glob(path + ".damaged-*Z")
	if err != nil || len(kept) == 0 {
		t.Errorf("damaged files that were kept: got %v, error %v", kept, err)
	}
	res := sluiceRun(t.Context(), nil, "", "log", "verify", "--data", data)
	if res.code != exitOK || !strings.Contains(res.stdout, "anchor: holds") {
		t.Errorf("log verify: got %+v", res)
	}
}

func flipBit(t *testing.T, path string, rnd *rand.Rand) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveIfSound starts a server that may refuse. One that serves has to serve right.
func serveIfSound(t *testing.T, data string, id int64) result {
	t.Helper()
	db, err := sqlite.OpenStore(filepath.Join(data, controlFile), sqlite.Options{})
	if err != nil {
		return serveOnce(t, "--data", data)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, data, http.DefaultClient)
	if v := s.settled(id); v.Ledger["expired"] != 0 || v.Ledger["accepted"] < 30 {
		t.Errorf("ledger after a flip that was not found: got %v", v.Ledger)
	}
	return s.stop()
}

func postAs(t *testing.T, s *running, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/events", strings.NewReader(`{"event_type":"a","entity_path":"acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestControlRestoreRefuses(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(data, controlFile)
	s := startServer(t, data, http.DefaultClient)
	restore := func(what, want string, args ...string) {
		t.Helper()
		res := sluiceRun(t.Context(), nil, "", append([]string{"control", "restore", "--data", data}, args...)...)
		if res.code != exitFailure || !strings.Contains(res.stderr, want) {
			t.Errorf("%s: got code %d: %s; want 1 and %q", what, res.code, res.stderr, want)
		}
	}
	restore("a running server", "is in use by process")
	stopped(t, s)
	restore("sound control state", "is sound, and nothing was changed")
	restore("a snapshot that is not there", "no such file", "--snapshot", filepath.Join(data, "absent"))
	all, err := listSnapshots(data)
	if err != nil || len(all) != 1 {
		t.Fatalf("snapshots: got %v, error %v; want one", all, err)
	}
	for _, file := range []string{path, all[0].path} {
		if err := os.WriteFile(file, []byte(strings.Repeat("not a database\n", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	restore("no sound snapshot", "there is no sound snapshot")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if res := serveOnce(t, "--data", data); res.code != exitFailure || !strings.Contains(res.stderr, "sluice control restore") {
		t.Errorf("serve without control state: got code %d: %s; want the command", res.code, res.stderr)
	}
}

// A server that finds damage when it looks at everything, for a snapshot, says so
// and makes none.
func TestServeTellsDamage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, controlFile)+"?_pragma=busy_timeout(10000)") // the server writes, too
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE records SET value = x'7b7d' WHERE key = 'log'"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	res := s.stop()
	if res.code != exitFailure || !strings.Contains(res.stderr, `record "log" does not verify`) || !strings.Contains(res.stderr, "take the control-*.db of a backup") {
		t.Errorf("serve: got code %d: %s; want 1, the record and what to do", res.code, res.stderr)
	}
	if all, err := listSnapshots(data); err != nil || len(all) != 0 {
		t.Errorf("snapshots of damaged state: got %v, error %v; want none", all, err)
	}
}

func TestSnapshotThatFails(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	db, err := sqlite.OpenStore(filepath.Join(cfg.Data, controlFile), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSnapshots(&cfg, db, newLogger(&cfg, &Env{Stderr: &lockedBuffer{}}))
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.take(t.Context()); err != nil {
		t.Fatalf("take: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.take(t.Context()); err != nil {
		t.Fatalf("take of a closed store: %v", err)
	}
	if f := s.Figures(); f.Failures != 1 || f.Kept != 1 || f.Newest.IsZero() {
		t.Errorf("figures after a failure: got %+v, want it counted beside the one that is kept", f)
	}
}

// TestSnapshotAfterTheClockWasAhead: what was made last is what comes first, not what
// says so.
func TestSnapshotAfterTheClockWasAhead(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	db, err := sqlite.OpenStore(filepath.Join(cfg.Data, controlFile), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := newSnapshots(&cfg, db, newLogger(&cfg, &Env{Stderr: &lockedBuffer{}}))
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	ahead := filepath.Join(cfg.Data, snapshotFolder, time.Now().UTC().Add(24*time.Hour).Format(snapshotName))
	if err := os.WriteFile(ahead, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := listSnapshots(cfg.Data)
		if err != nil || len(all) == 0 || all[0].path == ahead {
			t.Fatalf("snapshots: got %v, error %v; want the last one first", all, err)
		}
		ahead = all[0].path
	}
	for range 3 { // each an hour after the one before
		before, err := listSnapshots(cfg.Data)
		if err != nil {
			t.Fatal(err)
		}
		s.taken = s.taken.Add(-snapshotPeriod)
		if err := s.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err := listSnapshots(cfg.Data); err != nil || len(all) != len(before)+1 || all[1] != before[0] {
			t.Errorf("snapshots an hour later: got %v, error %v; want one before those of earlier hours, %v", all, err, before)
		}
	}
}

func TestSurplusSnapshots(t *testing.T) {
	at := func(text string) snapshot {
		made, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return snapshot{text, made}
	}
	all := []snapshot{at("2026-03-01T12:40:00Z"), at("2026-03-01T12:20:00Z"), at("2026-03-01T11:59:59Z"), at("2026-03-01T11:00:00Z")}
	got := surplus(all)
	if len(got) != 2 || got[0] != all[1] || got[1] != all[3] {
		t.Errorf("surplus: got %v, want the second and the fourth", got)
	}
	all = nil
	for i := range 30 {
		made := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(-time.Duration(i) * time.Hour)
		all = append(all, snapshot{made.String(), made})
	}
	if got := surplus(all); len(got) != 30-snapshotsKept || got[0] != all[snapshotsKept] {
		t.Errorf("surplus of 30 hours: got %d, want the oldest %d", len(got), 30-snapshotsKept)
	}
}

func TestSnapshotsMakeRoom(t *testing.T) {
	data := t.TempDir()
	s := &snapshots{data: data, floor: 100}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 5 {
		name := filepath.Join(data, snapshotFolder, time.Date(2026, 3, 1, i, 0, 0, 0, time.UTC).Format(snapshotName))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	s.free = func() (uint64, error) { // each is 10 bytes
		all, err := listSnapshots(data)
		return uint64(130 - 10*len(all)), err
	}
	for _, c := range []struct {
		need uint64
		room bool
		left int
	}{{0, true, 3}, {10, true, 2}, {50, false, 1}, {50, false, 1}} {
		room, err := s.makeRoom(c.need)
		all, listing := listSnapshots(data)
		if err != nil || listing != nil || room != c.room || len(all) != c.left || all[0].path != names[4] {
			t.Errorf("makeRoom(%d): got %v, errors %v, %v and %d left; want %v and %d, the newest among them", c.need, room, err, listing, len(all), c.room, c.left)
		}
	}
}
