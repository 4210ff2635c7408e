package rest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// message is a server-sent event.
type message struct{ event, id, data string }

// listener reads server-sent events.
type listener struct {
	t   *testing.T
	res *http.Response
	in  *bufio.Scanner
	id  string // the last one
}

func (c *client) listen(h *http.Client, path string, header ...string) *listener {
	c.t.Helper()
	res := c.get(h, path, header...)
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		c.t.Fatalf("%s: got status %d with %v", path, res.StatusCode, res.Header)
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 1<<20)
	return &listener{t: c.t, res: res, in: in}
}

// next returns the next message with data; heartbeats are passed over. ok is false
// at the end.
func (l *listener) next() (m message, ok bool) {
	l.t.Helper()
	for l.in.Scan() {
		name, value, _ := strings.Cut(l.in.Text(), ": ")
		switch name {
		case "event":
			m.event = value
		case "id":
			m.id, l.id = value, value
		case "data":
			m.data = value
		case "":
			if m.data != "" {
				return m, true
			}
		}
	}
	return m, false
}

// want reads the ids of events.
func (l *listener) want(ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		m, ok := l.next()
		var data struct {
			Event struct {
				ID   string
				Path string `json:"entity_path"`
			}
			Partition  string
			Seq        uint64
			AcceptedAt time.Time `json:"accepted_at"`
			Source     string
			Namespace  string
		}
		if err := json.Unmarshal([]byte(m.data), &data); err != nil || !ok || m.event != "" || m.id == "" || data.Event.ID != id ||
			data.Partition == "" || data.Seq == 0 || data.AcceptedAt.IsZero() || data.Source != "t0" || data.Namespace != data.Event.Path {
			l.t.Fatalf("got %+v and error %v, want event %s", m, err, id)
		}
	}
}

// wantAfter reads until an event that is posted after some time.
func (l *listener) wantAfter(d time.Duration, c *client, id string) {
	l.t.Helper()
	defer time.AfterFunc(d, func() { post(c, "acme", id) }).Stop()
	l.want(id)
}

func post(c *client, namespace string, ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		c.PostRaw(fmt.Sprintf(`{"id":"%s","event_type":"user.login","entity_path":"%s","text":"<&>"}`, id, namespace))
	}
}

func TestLive(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		synctest.Wait()
		h, stop := c.connect()
		const path = "/api/v1/events/live?namespace=acme&phrase=type:user.login"
		l := c.listen(h, path)
		post(c, "acme/web", "1")
		post(c, "umbra", "other")
		post(c, "acme", "2")
		l.want("1", "2")
		l.wantAfter(time.Minute, c, "3") // heartbeats come meanwhile, and keep the connection
		id := l.id
		_ = l.res.Body.Close()
		post(c, "acme", "4", "5")
		l = c.listen(h, path, "Last-Event-ID", id)
		l.want("4", "5")
		other := c.listen(h, path+"&after="+url.QueryEscape(id))
		other.want("4", "5")
		synctest.Wait()
		c.api.Stop()
		c.api.Stop()
		for _, l := range []*listener{l, other} {
			if m, more := l.next(); more || l.in.Err() != nil {
				t.Errorf("at the stop: got %+v and error %v, want the end", m, l.in.Err())
			}
		}
		stop()
	})
}

// A reader that knows where it was, although nothing came, misses nothing either.
func TestLiveBegins(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		post(c, "acme", "old")
		h, stop := c.connect()
		defer stop()
		l := c.listen(h, "/api/v1/events/live")
		text := make([]byte, 1000)
		n, err := l.res.Body.Read(text)
		_, id, found := strings.Cut(string(text[:n]), "\nid: ")
		if err != nil || !found || !strings.HasPrefix(string(text[:n]), "retry: ") {
			t.Fatalf("got %q and error %v, want the time to reconnect and an id", text[:n], err)
		}
		_ = l.res.Body.Close()
		post(c, "acme", "new")
		l = c.listen(h, "/api/v1/events/live", "Last-Event-ID", strings.TrimSpace(id))
		l.want("new")
		_ = l.res.Body.Close()
	})
}

// A reader that does not read is cut off, and nobody waits for it; one whose token
// is revoked is, too.
func TestLiveTrouble(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		synctest.Wait()
		h, stop := c.connect()
		slow, quick := c.listen(h, "/api/v1/events/live?phrase=type:user.login"), c.listen(h, "/api/v1/events/live?phrase=type:user.login")
		for i := range 300 {
			id := fmt.Sprint(i)
			c.PostRaw(fmt.Sprintf(`{"id":"%s","event_type":"user.login","entity_path":"acme","text":"%s"}`, id, strings.Repeat("x", 5000)))
			quick.want(id)
		}
		quick.wantAfter(time.Minute, c, "later")
		n, err := io.Copy(io.Discard, slow.res.Body)
		if err == nil || n > 500_000 {
			t.Errorf("a reader that did not read: got %d bytes and error %v, want to be cut off", n, err)
		}
		admin := c.token
		made := c.want(201, "POST", "/api/v1/tokens", `{"kind":"admin"}`)
		c.token = made["token"].(string)
		l := c.listen(h, "/api/v1/events/live?phrase=type:user.login")
		post(c, "acme", "seen")
		l.want("seen")
		quick.want("seen")
		c.token = admin
		if rec := c.do("DELETE", fmt.Sprint("/api/v1/tokens/", made["id"]), ""); rec.Code != 200 {
			t.Fatalf("revoke: got status %d", rec.Code)
		}
		quick.wantAfter(time.Minute, c, "unseen")
		if m, more := l.next(); more {
			t.Errorf("with a revoked token: got %+v, want the end", m)
		}
		_ = quick.res.Body.Close()
		for _, path := range []string{"?phrase=actor:%22", "?after=x", "?limit=3", "?namespace=acme//x"} {
			c.wantProblem(400, "invalid", "GET", "/api/v1/events/live"+path, "")
		}
		if rec := c.do("HEAD", "/api/v1/events/live", ""); rec.Code != 200 || rec.Body.Len() != 0 {
			t.Errorf("head: got status %d with %s", rec.Code, rec.Body)
		}
		stop()
	})
}

// Whose role is taken away reads no further, also where all that one may see was
// asked for; other roles are as good as before.
func TestLiveWithoutRole(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		synctest.Wait()
		h, stop := c.connect()
		c.want(201, "POST", "/api/v1/users", `{"name":"jane","password":"correct horse battery"}`)
		for _, namespace := range []string{"acme", "umbra"} {
			c.want(200, "POST", "/api/v1/members", fmt.Sprintf(`{"namespace":"%s","user":"jane","role":"auditor"}`, namespace))
		}
		made := c.want(201, "POST", "/api/v1/tokens", `{"kind":"personal","user":"jane","scopes":["api"]}`)
		admin := c.token
		c.token = made["token"].(string)
		const path = "/api/v1/events/live?phrase=type:user.login"
		one, all, other := c.listen(h, path+"&namespace=acme"), c.listen(h, path), c.listen(h, path+"&namespace=umbra")
		c.token = admin
		post(c, "acme", "seen")
		one.want("seen")
		all.want("seen")
		c.want(200, "DELETE", "/api/v1/members?namespace=acme&user=jane", "")
		time.AfterFunc(time.Minute, func() { post(c, "acme", "unseen"); post(c, "umbra", "theirs") })
		other.want("theirs")
		for name, l := range map[string]*listener{"of the namespace": one, "of everything": all} {
			if m, more := l.next(); more {
				t.Errorf("a reader %s: got %+v, want the end", name, m)
			}
		}
		c.wantMetrics(`sluice_live_readers_total{result="refused"} 2`)
		_ = other.res.Body.Close()
		stop()
	})
}

// Events are sent byte for byte.
func TestLiveBytes(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		synctest.Wait()
		h, stop := c.connect()
		defer stop()
		l := c.listen(h, "/api/v1/events/live")
		post(c, "acme", "1")
		m, _ := l.next()
		if want := `{"event":{"id":"1","event_type":"user.login","entity_path":"acme","text":"<&>"},"partition":"audit",`; !strings.HasPrefix(m.data, want) {
			t.Errorf("got %s, want %s", m.data, want)
		}
		_ = l.res.Body.Close()
	})
}

// A reader of one class is sent no events of the other, also when it comes back.
func TestLiveClass(t *testing.T) {
	searching(t, func(t *testing.T, c *client) {
		synctest.Wait()
		h, stop := c.connect()
		defer stop()
		const path = "/api/v1/events/live?namespace=acme&class=git"
		l := c.listen(h, path)
		push := func(id string) { c.PostRaw(`{"id":"` + id + `","event_type":"git.push","entity_path":"acme/web"}`) }
		post(c, "acme", "audit 1")
		push("git 1")
		l.want("git 1")
		_ = l.res.Body.Close()
		post(c, "acme", "audit 2")
		push("git 2")
		again := c.listen(h, path, "Last-Event-ID", l.id)
		again.want("git 2")
		c.wantProblem(400, "invalid", "GET", "/api/v1/events/live?class=other", "")
		_ = again.res.Body.Close()
	})
}
