package rest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/index"
	"github.com/sluicelog/sluice/rest"
	"github.com/sluicelog/sluice/search"
)

// connect returns an HTTP client whose connections lie in memory, so that both
// ends live in simulated time. stop ends the server and waits for all it does.
func (c *client) connect() (h *http.Client, stop func()) {
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: c.handler}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	h = &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableCompression: true}}
	return h, func() {
		h.CloseIdleConnections()
		if err := srv.Shutdown(context.Background()); err != nil {
			c.t.Error(err)
		}
		wg.Wait()
	}
}

type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// get sends a request over a connection.
func (c *client) get(h *http.Client, path string, header ...string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", "http://sluice"+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := h.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// read reads a body to its end.
func read(t *testing.T, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return string(body)
}

func TestExport(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.Post("acme/web", "git.push", 3)
		c.Post("umbra", "git.push", 2)
		synctest.Wait()
		h, stop := c.connect()
		defer stop()
		const path = "/api/v1/events/export?namespace=acme&class=git"
		res := c.get(h, path)
		plain := read(t, res.Body)
		lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
		if res.StatusCode != 200 || len(lines) != 3 || !strings.HasSuffix(plain, "\n") || res.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("got status %d with %s", res.StatusCode, plain)
		}
		if res.Header.Get("Sluice-Estimate") != "3" || res.Trailer.Get("Sluice-Events") != "3" || res.Trailer.Get("Sluice-Missing") != "0" {
			t.Errorf("got headers %v and trailers %v", res.Header, res.Trailer)
		}
		stored := c.Events("git", "git.push")
		for i, line := range lines {
			if line != string(stored[i].Raw) {
				t.Errorf("line %d: got %s, want %s", i, line, stored[i].Raw)
			}
		}
		if n := read(t, c.get(h, path+"&after="+res.Trailer.Get("Sluice-Cursor")).Body); n != "" {
			t.Errorf("behind the last one: got %s", n)
		}
		c.Post("acme/web", "git.push", 1)
		if n := read(t, c.get(h, path+"&after="+res.Trailer.Get("Sluice-Cursor")).Body); strings.Count(n, "\n") != 1 {
			t.Errorf("what came since: got %s", n)
		}
		if rest := read(t, c.get(h, path+"&after_id="+stored[1].ID).Body); !strings.HasPrefix(rest, lines[2]+"\n") || strings.Count(rest, "\n") != 2 {
			t.Errorf("behind an id: got %s", rest)
		}
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(read(t, c.get(h, path+"&format=json").Body)), &list); err != nil || len(list) != 4 || string(list[0]) != lines[0] {
			t.Errorf("json: got %s and error %v", list, err)
		}
		if err := json.Unmarshal([]byte(read(t, c.get(h, path+"&format=json&phrase=actor:nobody").Body)), &list); err != nil || len(list) != 0 {
			t.Errorf("json without events: got %s and error %v", list, err)
		}
		head := c.do("HEAD", path, "")
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Disposition") == "" {
			t.Errorf("head: got status %d, %v, %s", head.Code, head.Header(), head.Body)
		}
		if told := c.Events("audit", "audit_log.export"); len(told) != 6 {
			t.Errorf("exports that were told: got %d, want 6 without that of HEAD", len(told))
		}
	})
}

func TestExportCompressed(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.Post("acme", "git.push", 50)
		synctest.Wait()
		h, stop := c.connect()
		defer stop()
		const path = "/api/v1/events/export?class=git"
		plain := read(t, c.get(h, path).Body)
		for _, x := range []struct{ query, accept, encoding, contentType, ending string }{
			{"", "br, gzip;q=0.5", "gzip", "application/x-ndjson", `.ndjson"`},
			{"", "gzip;q=0", "", "application/x-ndjson", `.ndjson"`},
			{"", "identity", "", "application/x-ndjson", `.ndjson"`},
			{"&compression=gzip", "gzip", "", "application/gzip", `.ndjson.gz"`},
			{"&compression=gzip", "", "", "application/gzip", `.ndjson.gz"`},
		} {
			res := c.get(h, path+x.query, "Accept-Encoding", x.accept)
			var body io.Reader = res.Body
			if x.encoding != "" || x.query != "" {
				var err error
				if body, err = gzip.NewReader(res.Body); err != nil {
					t.Fatal(err)
				}
			}
			if got := read(t, body); got != plain {
				t.Errorf("%+v: got %d bytes, want %d", x, len(got), len(plain))
			}
			hd := res.Header
			if hd.Get("Content-Encoding") != x.encoding || hd.Get("Content-Type") != x.contentType || !strings.HasSuffix(hd.Get("Content-Disposition"), x.ending) {
				t.Errorf("%+v: got headers %v", x, hd)
			}
			_ = res.Body.Close()
		}
		for _, query := range []string{"compression=zip", "order=asc", "format=xml", "class=web", "from=x", "after=x", "namespace=acme&namespace=umbra"} {
			c.wantProblem(400, "invalid", "GET", "/api/v1/events/export?"+query, "")
		}
		c.want(405, "POST", "/api/v1/events/export", "")
	})
}

// The columns are GitLab's, whatever the vocabulary, and none is a formula.
func TestExportTable(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.PostRaw(`{"id":7,"author_id":-1,"author_name":"=cmd()","entity_id":3,"entity_type":"Project","entity_path":"acme/web","target_id":null,`+
			`"created_at":"2026-03-01T12:00:00.5Z","event_type":"a.b","ip_address":"::1","details":{"custom_message":"did \"it\",\nthen more","target_details":"@all","target_type":"User","author_email":"-5"}}`,
			`{"_document_id":"Nm4","action":"team.create","actor":"mona","actor_id":12,"org":["acme"],"org_id":9,"business":"acme","user":"hubot","@timestamp":1772366400000,"actor_ip":"192.0.2.1"}`)
		synctest.Wait()
		rec := c.do("GET", "/api/v1/events/export?format=csv&class=audit&phrase="+"type:a.b%20type:team.create", "")
		rows, err := csv.NewReader(rec.Body).ReadAll()
		want := [][]string{
			{"ID", "Author ID", "Author Name", "Author Email", "Entity ID", "Entity Type", "Entity Path", "Target ID", "Target Type", "Target Details", "Action", "IP Address", "Created At (UTC)"},
			{"7", "-1", "'=cmd()", "-5", "3", "Project", "acme/web", "", "User", "'@all", "did \"it\",\nthen more", "::1", "2026-03-01T12:00:00.500Z"},
			{"Nm4", "12", "mona", "", "9", "Group", "acme/acme", "", "User", "hubot", "team.create", "192.0.2.1", "2026-03-01T12:00:00.000Z"},
		}
		if err != nil || fmt.Sprintf("%q", rows) != fmt.Sprintf("%q", want) {
			t.Errorf("got error %v and\n%q, want\n%q", err, rows, want)
		}
	})
}

// fill posts events of some size.
func (c *client) fill(n int) {
	c.t.Helper()
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`{"id":"f%d","event_type":"user.login","entity_path":"acme","message":"%s"}`, i, strings.Repeat("x", 10_000)))
	}
	c.PostRaw(events...)
}

// A client that goes, and one that reads too slowly, end the export; that there
// is nothing left is what ends the simulation.
func TestExportToTroubledClients(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.fill(1000)
		synctest.Wait()
		h, stop := c.connect()
		const path = "/api/v1/events/export?namespace=acme&phrase=type:user.login"
		res := c.get(h, path)
		if _, err := io.CopyN(io.Discard, res.Body, 100_000); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		synctest.Wait()

		res = c.get(h, path)
		some := bufio.NewReader(res.Body)
		if _, err := io.CopyN(io.Discard, some, 100_000); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second) // it is slow, but it reads
		if _, err := io.CopyN(io.Discard, some, 500_000); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		if _, err := io.Copy(io.Discard, some); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after too long a pause: got %v, want an answer that is cut off", err)
		}
		if res.Trailer.Get("Sluice-Events") != "" {
			t.Error("an answer that was cut off has trailers of a whole one")
		}
		_ = res.Body.Close()
		for range 5 { // neither holds its place
			if got := strings.Count(read(t, c.get(h, path).Body), "\n"); got != 1000 {
				t.Errorf("afterwards: got %d events, want 1000", got)
			}
		}
		stop()
	})
}

func TestExportsAtOnce(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.fill(100)
		synctest.Wait()
		h, stop := c.connect()
		var open []*http.Response
		for range 3 {
			open = append(open, c.get(h, "/api/v1/events/export?namespace=acme&phrase=type:user.login"))
		}
		res := c.get(h, "/api/v1/events/export?namespace=acme&phrase=type:user.login")
		body := read(t, res.Body)
		if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "rate_limited") {
			t.Errorf("a fourth one: got status %d with %s", res.StatusCode, body)
		}
		for _, res := range open {
			var got bytes.Buffer
			if _, err := got.ReadFrom(res.Body); err != nil || bytes.Count(got.Bytes(), []byte("\n")) != 100 {
				t.Errorf("got %d bytes and error %v, want 100 events", got.Len(), err)
			}
		}
		stop()
	})
}

// When the server stops, an export ends at once, behind a whole event, and as one
// that is not whole; it goes on behind that event.
func TestExportWhenTheServerStops(t *testing.T) {
	for _, format := range []string{"ndjson", "json", "csv"} {
		t.Run(format, func(t *testing.T) {
			searching(t, func(t *testing.T, c *client) {
				c.fill(1000)
				synctest.Wait()
				h, stop := c.connect()
				path := "/api/v1/events/export?namespace=acme&phrase=type:user.login&format=" + format
				whole := read(t, c.get(h, path).Body)
				res, still := c.get(h, path), c.get(h, path) // of which one is not read
				var got bytes.Buffer
				if _, err := io.CopyN(&got, res.Body, 100_000); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				c.api.Stop()
				if _, err := got.ReadFrom(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || res.Trailer.Get("Sluice-Events") != "" {
					t.Errorf("at the stop: got error %v and trailers %v, want an answer that is cut off", err, res.Trailer)
				}
				stop()
				_ = still.Body.Close()
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the stop took %v, want no more than a client gets for the last bytes", took)
				}
				c.wantMetrics("sluice_exports 0", `sluice_exports_total{result="stopped"} 2`, `sluice_exports_total{result="ok"} 1`)
				if n := got.Len(); n == len(whole) || got.String() != whole[:n] {
					t.Fatalf("got %d bytes, want a part of the %d", n, len(whole))
				}
				if rest := strings.TrimPrefix(whole[got.Len():], ","); rest[0] != '\n' && whole[got.Len()-1] != '\n' {
					t.Errorf("got an end within an event: %.80q", rest)
				}
				if format != "ndjson" {
					return
				}
				_, after, _ := strings.Cut(c.Logs(), `"cursor":"`)
				after, _, _ = strings.Cut(after, `"`)
				lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
				var last struct{ ID string }
				if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
					t.Fatal(err)
				}
				c.serve(rest.Config{})
				h, stop = c.connect()
				for _, behind := range []string{"&after=" + after, "&after_id=" + last.ID} {
					if got := got.String() + read(t, c.get(h, path+behind).Body); got != whole {
						t.Errorf("with what follows %s: got %d bytes, want %d", behind, len(got), len(whole))
					}
				}
				stop()
			})
		})
	}
}

// wrapping is a listener whose connections are in others, as those of the server are.
type wrapping struct {
	net.Listener
	open *sync.WaitGroup
}

type wrapped struct {
	net.Conn
	free func()
}

func (c *wrapped) NetConn() net.Conn { return c.Conn }

func (c *wrapped) Close() error {
	c.free()
	return c.Conn.Close()
}

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &wrapped{c, sync.OnceFunc(l.open.Done)}, nil
}

// In HTTP/1.0, which proxies speak to servers unless they are told otherwise, an
// answer ends with its connection: one that is cut off must not end as a whole one.
func TestExportCutOffForAnOldProxy(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.fill(1000)
		synctest.Wait()
		srv := httptest.NewUnstartedServer(c.handler)
		srv.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			_ = conn.(*wrapped).Conn.(*net.TCPConn).SetWriteBuffer(64 << 10) // what is not read is not sent
			return ctx
		}
		var open sync.WaitGroup
		srv.Listener = wrapping{srv.Listener, &open}
		srv.Start()
		defer open.Wait() // for ever, if one of them is never closed
		defer srv.Close()
		get := func(first int64, meanwhile func()) error {
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			if _, err := fmt.Fprintf(conn, "GET /api/v1/events/export?namespace=acme HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", c.token); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, conn, first); err != nil {
				t.Fatal(err)
			}
			meanwhile()
			_, err = io.Copy(io.Discard, conn)
			return err
		}
		if err := get(100_000, func() {}); err != nil {
			t.Errorf("a whole export: got %v", err)
		}
		if err := get(100_000, c.api.Stop); err == nil {
			t.Error("an export that was cut off ended as a whole one")
		}
	})
}

// wantMetrics looks for samples.
func (c *client) wantMetrics(samples ...string) {
	c.t.Helper()
	text := c.do("GET", "/metrics", "").Body.String()
	for _, s := range samples {
		if !strings.Contains(text, "\n"+s+"\n") {
			name, _, _ := strings.Cut(s, " ")
			_, found, _ := strings.Cut(text, "\n"+name)
			found, _, _ = strings.Cut(found, "\n")
			c.t.Errorf("metrics: got %s%s, want %s", name, found, s)
		}
	}
}

// What exports and live readers do is measured.
func TestTransferMetrics(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		c.Post("acme/web", "git.push", 3)
		synctest.Wait()
		h, stop := c.connect()
		body := read(t, c.get(h, "/api/v1/events/export?class=git").Body)
		c.wantProblem(400, "invalid", "GET", "/api/v1/events/export?class=x", "")
		l := c.listen(h, "/api/v1/events/live?phrase=type:user.login")
		post(c, "acme", "1")
		l.want("1")
		synctest.Wait()
		c.wantMetrics("sluice_exports 0", `sluice_exports_total{result="ok"} 1`, `sluice_exports_total{result="failed"} 0`, "sluice_export_events_total 3",
			fmt.Sprint("sluice_export_bytes_total ", len(body)), "sluice_live_readers 1", `sluice_live_readers_total{result="client"} 0`, "sluice_live_events_total 1")
		_ = l.res.Body.Close()
		synctest.Wait()
		c.wantMetrics("sluice_live_readers 0", `sluice_live_readers_total{result="client"} 1`)
		stop()
	})
}

// What runs out of time says what to do; exports take as long as they take, and
// need no index.
func TestOutOfTime(t *testing.T) {
	configure := func(c *control.Config) {
		c.Search = search.New(search.Config{Log: c.Log, Engine: index.NewMemory(), Timeout: -1}) // it is over at once
	}
	simulate(t, configure, func(t *testing.T, c *client) {
		c.Post("acme/web", "git.push", 3)
		for _, path := range []string{"/api/v1/events/counts", "/api/v1/events"} {
			e := c.wantProblem(503, "busy", "GET", path, "")
			if hint, _ := e["hint"].(string); !strings.Contains(hint, "namespace") || !strings.Contains(hint, "shorter time") {
				t.Errorf("%s: got hint %q, want what to do", path, hint)
			}
		}
		if got := strings.Count(c.do("GET", "/api/v1/events/export?class=git", "").Body.String(), "\n"); got != 3 {
			t.Errorf("export: got %d events, want 3", got)
		}
	})
}
