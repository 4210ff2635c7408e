package cloudlogging

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
)

// run checks and returns the stages, as "resolve connect ..." with "!" behind
// the one that failed, and what they said.
func run(t *testing.T, dst destination.Destination) (names, said string) {
	t.Helper()
	var list []string
	ok := dst.Check(t.Context(), func(s destination.Stage) {
		if !s.OK {
			s.Name += "!"
		}
		list = append(list, s.Name)
		said += s.Name + ": " + s.Message + "\n"
	})
	names = strings.Join(list, " ")
	if ok == strings.HasSuffix(names, "!") {
		t.Errorf("Check: got %t with the stages %s", ok, names)
	}
	checkSecrets(t, said)
	return names, said
}

func TestCheckWritesNothing(t *testing.T) {
	g, dst := start(t, nil)
	names, said := run(t, dst)
	if want := "resolve connect authenticate accept"; names != want {
		t.Errorf("stages: got %s, want %s\n%s", names, want, said)
	}
	for _, want := range []string{"resolve: 127.0.0.1 is an address: there is nothing to look up\n", "granted to sluice@", logName, "dry run", "nothing was written"} {
		if !strings.Contains(said, want) {
			t.Errorf("messages: got\n%s\nwant %q in them", said, want)
		}
	}
	if n := len(g.Entries()); n != 0 {
		t.Errorf("entries: got %d, want none", n)
	}
	q := g.Requests()
	if len(q) != 1 || !q[0].DryRun || len(q[0].Entries) != 1 {
		t.Fatalf("requests: got %+v, want one with dryRun and one entry", q)
	}
	e := q[0].Entries[0]
	if e.Labels["type"] != destination.CheckType || e.Labels["namespace"] != "acme" || !strings.HasPrefix(e.InsertID, "check-") ||
		time.Since(e.Timestamp).Abs() > time.Hour || !strings.Contains(string(e.Payload), `"event_type":"sluice.check"`) {
		t.Errorf("entry: got %+v, want it marked as a test", e)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	denied, missing := cloudloggingtest.PermissionDenied("IAM_PERMISSION_DENIED"), cloudloggingtest.PermissionDenied("SERVICE_DISABLED")
	failing := func(e cloudloggingtest.Error) func(*cloudloggingtest.Config) {
		return func(c *cloudloggingtest.Config) {
			c.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault { return cloudloggingtest.Fault{Error: &e} }
		}
	}
	for _, c := range []struct {
		name   string
		change func(*cloudloggingtest.Config)
		stages string
		words  string
	}{
		{"account", func(c *cloudloggingtest.Config) { c.Email = "other@x.example" }, "resolve connect authenticate!", "check client_email"},
		{"role", failing(denied), "resolve connect authenticate accept!", "Logs Writer"},
		{"API", failing(missing), "resolve connect authenticate accept!", "Cloud Logging API is not enabled"},
		{"project", func(c *cloudloggingtest.Config) { c.Project = "another-project" }, "resolve connect authenticate accept!", "check project_id"},
	} {
		_, dst := start(t, c.change)
		names, said := run(t, dst)
		if names != c.stages || !strings.Contains(said, c.words) {
			t.Errorf("%s: got %s\n%s\nwant %s with %q", c.name, names, said, c.stages, c.words)
		}
	}
}

// TestCheckLooksAtBothServers has the API and the token endpoint apart.
func TestCheckLooksAtBothServers(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	_, url := serve(t, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	open := func(hosts destination.Hosts, allow bool) destination.Destination {
		env := loopbackEnv()
		env.Dialer = destination.NewDialer(destination.DialerConfig{AllowPrivate: allow, Resolver: hosts})
		account, err := readAccount(testAccount().PEM())
		if err != nil {
			t.Fatal(err)
		}
		account.email = testAccount().Email
		w, err := newWriter(Config{ProjectID: testProject, ClientEmail: account.email, LogID: "audit",
			Endpoint: "http://logging.test:" + port, TokenURL: "http://token.test:" + port + "/token"}, account, env, nil)
		if err != nil {
			t.Fatalf("newWriter: got %v, want nil", err)
		}
		t.Cleanup(func() { w.Close() })
		return w
	}
	both := destination.Hosts{"logging.test": {here}, "token.test": {here}}
	for _, c := range []struct {
		name   string
		dst    destination.Destination
		stages string
		words  string
	}{
		{"both", open(both, true), "resolve connect authenticate accept", "resolve: logging.test is at 127.0.0.1; token.test is at 127.0.0.1\n"},
		{"no token endpoint", open(destination.Hosts{"logging.test": {here}}, true), "resolve!", "token.test"},
		{"addresses that are refused", open(both, false), "resolve!", "--allow-destination"},
	} {
		names, said := run(t, c.dst)
		if names != c.stages || !strings.Contains(said, c.words) {
			t.Errorf("%s: got %s\n%s\nwant %s with %q", c.name, names, said, c.stages, c.words)
		}
	}
}

// TestCheckTellsPortsApart has both servers at one address.
func TestCheckTellsPortsApart(t *testing.T) {
	_, api := serve(t, nil)
	_, other := serve(t, nil)
	account, err := readAccount(testAccount().PEM())
	if err != nil {
		t.Fatal(err)
	}
	account.email = testAccount().Email
	w, err := newWriter(Config{ProjectID: testProject, ClientEmail: account.email, LogID: "audit", Endpoint: api, TokenURL: other + cloudloggingtest.TokenPath},
		account, loopbackEnv(), nil)
	if err != nil {
		t.Fatalf("newWriter: got %v, want nil", err)
	}
	defer w.Close()
	_, said := run(t, w)
	first, second := strings.TrimPrefix(api, "http://"), strings.TrimPrefix(other, "http://")
	want := "resolve: 127.0.0.1 is an address: there is nothing to look up\n" +
		"connect: " + first + ": connected to " + first + "; " + second + ": connected to " + second + "\n"
	if !strings.HasPrefix(said, want) {
		t.Errorf("messages: got\n%s\nwant\n%s", said, want)
	}
}
