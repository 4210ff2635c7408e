package eventhubs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
)

// openFunc opens a destination over TLS, closed when the test ends.
type openFunc func(config string) *Hub

// server returns a broker, a listener of it with TLS and a function that opens
// destinations there.
func server(t *testing.T) (*eventhubstest.Broker, *eventhubstest.Listener, openFunc) {
	t.Helper()
	b := startBroker(t)
	l, pool := listenTLS(t, b, eventhubstest.ListenOptions{})
	return b, l, func(config string) *Hub {
		h := openHub(t, config, withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key), testEnv())
		h.roots = pool
		t.Cleanup(func() { h.Close() })
		return h
	}
}

func named(hub string) string { return fmt.Sprintf(`{"name":%q}`, hub) }

// inNamespaces returns n events that go through the namespaces in turn.
func inNamespaces(n int, namespaces ...string) *destination.Batch {
	b := destinationtest.Batch(n)
	for i := range b.Events {
		b.Events[i].Namespace = namespaces[i%len(namespaces)]
	}
	return b
}

func ids(b *destination.Batch) []string {
	var out []string
	for _, e := range b.Events {
		out = append(out, string(e.ID))
	}
	return out
}

// TestOutcomes meets every way in which a hub does not take a batch.
func TestOutcomes(t *testing.T) {
	_, _, open := server(t)
	for _, c := range []struct {
		hub   string
		class destination.Class
		words string
		pause time.Duration
	}{
		{"missing", destination.Misconfigured, "no event hub of this name", 0},
		{"nowhere", destination.Misconfigured, "no event hub of this name", 0},
		{"disabled", destination.Misconfigured, "is disabled", 0},
		{"no-claim", destination.Misconfigured, "lacks the right Send", 0},
		{"forbidden", destination.Misconfigured, "not allowed", 0},
		{"barred", destination.Misconfigured, "let this server in", 0},
		{"walled", destination.Misconfigured, "the connection string is not to blame", 0},
		{"out-of-range", destination.Misconfigured, "out of range", 0},
		{"nolimit", destination.Misconfigured, "does not say how large", 0},
		{"claims-busy", destination.Unavailable, "could not check the credentials", busyPause},
		{"busy", destination.Unavailable, "50002", busyPause},
		{"full", destination.Unavailable, "quota", quotaPause},
		{"timeout", destination.Unavailable, "in time", 0},
		{"cancelled", destination.Unavailable, "broke off", 0},
		{"internal", destination.Unavailable, "internal error", 0},
		{"strange", destination.Unavailable, "com.example:unheard-of Nobody knows this one.", 0},
		{"forced", destination.Unavailable, "inactive for too long", 0},
		{"detaching", destination.Unavailable, "force detached", 0},
		{"early", destination.Unavailable, "connection", 0},
		{"late", destination.Unavailable, "connection", 0},
		{"released", destination.Unavailable, "neither accepted nor refused", 0},
		{"modified", destination.Unavailable, "neither accepted nor refused", 0},
	} {
		t.Run(c.hub, func(t *testing.T) {
			res := open(named(c.hub)).Send(t.Context(), destinationtest.Batch(3))
			if res.Err == nil || res.Events != nil {
				t.Fatalf("Send: got %v with outcomes %v, want %v for all", res.Err, res.Events, c.class)
			}
			if res.Err.Class != c.class || !strings.Contains(res.Err.Message, c.words) || res.Err.RetryAfter != c.pause {
				t.Errorf("Send: got %v, retry after %v, want %v with %q and %v", res.Err, res.Err.RetryAfter, c.class, c.words, c.pause)
			}
		})
	}
}

// TestGarbage has a far side that announces a frame of nearly 2 GiB.
func TestGarbage(t *testing.T) {
	b := startBroker(t)
	l := listen(t, b, eventhubstest.ListenOptions{})
	h := openHub(t, named("garbage"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer h.Close()
	res := h.Send(t.Context(), destinationtest.Batch(1))
	if res.Err == nil || res.Err.Class != destination.Unavailable || !strings.Contains(res.Err.Message, "frame of more than") {
		t.Errorf("Send: got %v, want unavailable: a frame of more than", res.Err)
	}
}

// TestMute ends the context while the hub does not answer the link.
func TestMute(t *testing.T) {
	_, _, open := server(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	res := open(named("mute")).Send(ctx, destinationtest.Batch(1))
	if res.Err == nil || res.Err.Class != destination.Unavailable || !strings.Contains(res.Err.Message, "no answer in time") {
		t.Errorf("Send: got %v, want unavailable: no answer in time", res.Err)
	}
}

// TestBusyKeepsConnection wants the link kept while the service asks for a pause.
func TestBusyKeepsConnection(t *testing.T) {
	_, l, open := server(t)
	h := open(named("busy"))
	for range 3 {
		if res := h.Send(t.Context(), destinationtest.Batch(1)); res.Err == nil {
			t.Fatal("Send: got delivered, want busy")
		}
	}
	if got := l.Connections(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
}

// TestSecretsAreNotShown has far sides that repeat the token, and prints
// everything there is.
func TestSecretsAreNotShown(t *testing.T) {
	b, _, open := server(t)
	refusing, pool := listenTLS(t, b, eventhubstest.ListenOptions{Refuse: true})
	echoing := open(named("echo"))
	refused := openHub(t, named("hub"), withKey(refusing.Host(), eventhubstest.KeyName, eventhubstest.Key), testEnv())
	refused.roots = pool
	defer refused.Close()
	var shown []string
	for _, h := range []*Hub{echoing, refused} {
		res := h.Send(t.Context(), destinationtest.Batch(1))
		if res.Err == nil || res.Err.Class != destination.Misconfigured || !strings.Contains(res.Err.Message, "***") {
			t.Errorf("Send: got %v, want misconfigured with *** in it", res.Err)
			continue
		}
		shown = append(shown, res.Err.Message, fmt.Sprintf("%v %+v %#v %s", h, h, h, h), fmt.Sprintf("%+v %#v", h.target, h.target))
		h.Check(t.Context(), func(s destination.Stage) { shown = append(shown, s.Message) })
	}
	for _, text := range shown {
		for _, secret := range []string{eventhubstest.Key, "sig=", "SharedAccessSignature"} {
			if strings.Contains(text, secret) {
				t.Errorf("text: got %q with %q in it, want it not shown", text, secret)
			}
		}
	}
}

// TestCredentials tries keys that are wrong, that lack the right, that are
// replaced, and signatures.
func TestCredentials(t *testing.T) {
	b := startBroker(t)
	l, pool := listenTLS(t, b, eventhubstest.ListenOptions{})
	send := func(connection string) *destination.Error {
		h := openHub(t, named("hub"), connection, testEnv())
		h.roots = pool
		defer h.Close()
		return h.Send(t.Context(), destinationtest.Batch(1)).Err
	}
	host := l.Host()
	c, err := parseConnection(withKey(host, eventhubstest.KeyName, eventhubstest.Key), "hub")
	if err != nil {
		t.Fatal(err)
	}
	signed := func(at time.Time) string {
		return "Endpoint=sb://" + host + ";SharedAccessSignature=" + c.token("hub", at)
	}
	for _, c := range []struct {
		name, connection string
		want             string // "" for success
	}{
		{"key", withKey(host, eventhubstest.KeyName, eventhubstest.Key), ""},
		{"wrong key", withKey(host, eventhubstest.KeyName, "wrong"), "invalid signature"},
		{"unknown policy", withKey(host, "nobody", "wrong"), "no key of this name"},
		{"policy that may listen", withKey(host, eventhubstest.ListenName, eventhubstest.ListenKey), "lacks the right Send"},
		{"signature", signed(time.Now()), ""},
		{"expired signature", signed(time.Now().Add(-3 * time.Hour)), "expired"},
	} {
		got := send(c.connection)
		switch {
		case c.want == "" && got != nil:
			t.Errorf("%s: got %v, want delivered", c.name, got)
		case c.want != "" && (got == nil || got.Class != destination.Misconfigured || !strings.Contains(got.Message, c.want)):
			t.Errorf("%s: got %v, want misconfigured with %q", c.name, got, c.want)
		}
	}
}

// TestReplacedKey refuses the key of an open destination and takes it again: the
// destination goes on by itself.
func TestReplacedKey(t *testing.T) {
	b, _, open := server(t)
	h := open(named("hub"))
	b.SetKey(eventhubstest.KeyName, "another")
	if res := h.Send(t.Context(), destinationtest.Batch(1)); res.Err == nil || res.Err.Class != destination.Misconfigured || res.Err.Status != 401 {
		t.Errorf("Send: got %v, want misconfigured with 401", res.Err)
	}
	b.SetKey(eventhubstest.KeyName, eventhubstest.Key)
	if res := h.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
		t.Errorf("Send: got %v, want delivered", res.Err)
	}
}

// TestIdleLossIsNoFailure drops what was open while nothing was sent.
func TestIdleLossIsNoFailure(t *testing.T) {
	_, l, open := server(t)
	h := open(named("hub"))
	send := func() {
		t.Helper()
		if res := h.Send(t.Context(), destinationtest.Batch(2)); res.Err != nil {
			t.Errorf("Send: got %v, want delivered", res.Err)
		}
	}
	send()
	l.Detach()
	send()
	l.Drop()
	waitFor(t, "the connection to be seen as lost", func() bool { return h.current.fault() != nil })
	send()
}

// waitFor waits until ok returns true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waiting for %s: got nothing in a minute", what)
		}
	}
}

// TestSessionsEnd wants a session replaced when it is old and closed when nobody
// uses it.
func TestSessionsEnd(t *testing.T) {
	_, l, open := server(t)
	h := open(named("hub"))
	now := time.Now()
	h.env.Now = func() time.Time { return now }
	for range 2 {
		if res := h.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
			t.Fatalf("Send: got %v, want delivered", res.Err)
		}
	}
	if got := l.Connections(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
	now = now.Add(sessionLife + time.Second)
	if res := h.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	if got := l.Connections(); got != 2 {
		t.Errorf("connections after %v: got %d, want 2", sessionLife, got)
	}
	s := h.current
	h.retire(s)
	if h.current != nil {
		t.Error("current session: got the retired one, want none")
	}
	waitFor(t, "the retired session to be closed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.closed // after leave-taking there may be nobody left who meets the end of the wire
	})
}

// TestPartitionKeys wants every event under its key and in order there.
func TestPartitionKeys(t *testing.T) {
	b, _, open := server(t)
	for by, want := range map[PartitionBy][]string{
		ByTopLevel:  {"acme", "globex", "/"},
		ByNamespace: {"acme/web", "acme", "globex/a/b", "/"},
		ByNone:      {""},
	} {
		hub := "keys-" + strings.ReplaceAll(string(by), "_", "-")
		batch := inNamespaces(600, "acme/web", "Acme", "globex/a/b", "")
		if res := open(fmt.Sprintf(`{"name":%q,"partition_by":%q}`, hub, by)).Send(t.Context(), batch); res.Err != nil {
			t.Fatalf("Send by %s: got %v, want delivered", by, res.Err)
		}
		got := map[string][]string{}
		for _, m := range b.Messages(hub) {
			key := ""
			if m.Key != nil {
				key = *m.Key
			}
			for _, e := range m.Events {
				got[key] = append(got[key], e.ID)
			}
		}
		expect := map[string][]string{}
		for _, e := range batch.Events {
			key := partitionKey(by, e.Namespace)
			expect[key] = append(expect[key], string(e.ID))
		}
		if len(expect) != len(want) {
			t.Errorf("keys by %s: got %d, want %q", by, len(expect), want)
		}
		for _, key := range want {
			if !slices.Equal(got[key], expect[key]) {
				t.Errorf("events of key %q by %s: got %v, want %v", key, by, got[key], expect[key])
			}
		}
	}
}

// TestSomePartsFail refuses the second batch under way of three keys.
func TestSomePartsFail(t *testing.T) {
	b := startBroker(t)
	l := listen(t, b, eventhubstest.ListenOptions{Answer: func(m eventhubstest.Message) string {
		if *m.Key == "globex" {
			return "busy"
		}
		return "accept"
	}})
	h := openHub(t, named("hub"), withKey(l.Host(), eventhubstest.KeyName, eventhubstest.Key)+emulated, testEnv())
	defer h.Close()
	batch := inNamespaces(2*maxAhead, "acme", "globex", "initech")
	res := h.Send(t.Context(), batch)
	if res.Err == nil || res.Err.Class != destination.Unavailable || len(res.Events) != len(batch.Events) {
		t.Fatalf("Send: got %v with %d outcomes, want unavailable with %d", res.Err, len(res.Events), len(batch.Events))
	}
	stored := b.Stored("hub")
	for i, o := range res.Events {
		if got, want := o == destination.Delivered, slices.Contains(stored, string(batch.Events[i].ID)); got != want {
			t.Errorf("event %d: got delivered %t, want %t", i, got, want)
		}
		if i >= maxAhead && o == destination.Delivered {
			t.Errorf("event %d: got delivered, want nothing begun behind a run that failed", i)
		}
	}
}
