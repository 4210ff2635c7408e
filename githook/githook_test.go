package githook

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/client"
)

// hurry makes hooks keep to the budget that pushes have: others have all the time
// that a busy machine may take.
const hurry = "TEST_HURRY=1"

// The installed hook executes this test binary as "sluice git hook".
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "git" && os.Args[2] == "hook" {
		os.Exit(runHook())
	}
	os.Exit(m.Run())
}

func runHook() int {
	dir, err := os.Getwd()
	if err != nil {
		return 3
	}
	p := &Push{Dir: dir, Environ: os.Environ(), Updates: os.Stdin, Messages: os.Stderr, Now: time.Now,
		Connect: func(cfg Config) (*client.Client, error) {
			return client.New(client.Config{Server: cfg.Server, Token: "secret"})
		}}
	if !slices.Contains(p.Environ, hurry) {
		p.Budget = time.Hour
	}
	if err := p.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "sluice:", err)
		return 1
	}
	return 0
}

func TestPushes(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	push := func(want string, args ...string) event {
		t.Helper()
		before := len(s.received())
		f.git(append([]string{"push", "--quiet", "origin"}, args...)...)
		events := s.received()[before:]
		if len(events) != 1 {
			t.Fatalf("push %q: got %d events, want 1", args, len(events))
		}
		e := events[0]
		count, forced := "?", "?"
		if e.CommitCount != nil {
			count = fmt.Sprint(*e.CommitCount)
		}
		if e.Forced != nil {
			forced = fmt.Sprint(*e.Forced)
		}
		got := fmt.Sprintf("%s %s created=%t deleted=%t forced=%s commits=%s", e.Ref, e.RefType, e.Created, e.Deleted, forced, count)
		if got != want {
			t.Errorf("push %q: got %s, want %s", args, got, want)
		}
		return e
	}
	f.commit(3)
	e := push("refs/heads/main branch created=true deleted=false forced=false commits=3", "main")
	if e.Action != "git.push" || e.EntityPath != "acme/web" || e.Actor != "mona" || e.ActorSource != "os_user" || e.Transport != "file" || e.PushRefs != 1 {
		t.Errorf("got event %+v, want that of mona's push to acme/web", e)
	}
	if got, want := e.After, f.git("rev-parse", "main"); got != want {
		t.Errorf("after: got %s, want %s", got, want)
	}
	f.commit(2)
	push("refs/heads/main branch created=false deleted=false forced=false commits=2", "main")
	f.git("tag", "-a", "-m", "one", "v1")
	push("refs/tags/v1 tag created=true deleted=false forced=false commits=0", "v1")
	f.git("checkout", "--quiet", "-b", "topic")
	f.commit(1)
	push("refs/heads/topic branch created=true deleted=false forced=false commits=1", "topic")
	f.git("reset", "--quiet", "--hard", "HEAD~2")
	f.commit(1)
	push("refs/heads/topic branch created=false deleted=false forced=true commits=1", "--force", "topic")
	push("refs/heads/topic branch created=false deleted=true forced=false commits=0", ":topic")
	if got := f.waiting(); got != 0 {
		t.Errorf("waiting: got %d, want 0", got)
	}
}

func TestManyRefsWithOddNames(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	f.commit(1)
	var refs strings.Builder
	head := f.git("rev-parse", "HEAD")
	for i := range 500 {
		fmt.Fprintf(&refs, "create refs/heads/b%d %s\n", i, head)
	}
	odd := []string{`quote"d`, "back'tick`", "ünï/cödé", "a&b<c>$(d)", "latin\xe9"}
	for _, name := range odd {
		fmt.Fprintf(&refs, "create refs/heads/%s %s\n", name, head)
	}
	cmd := exec.Command("git", "update-ref", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = f.work, f.environ, strings.NewReader(refs.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("update-ref: %v %s", err, out)
	}
	f.git("push", "--quiet", "origin", "refs/heads/*:refs/heads/*")
	events := s.received()
	if got, want := len(events), 501+len(odd); got != want {
		t.Fatalf("events: got %d, want %d", got, want)
	}
	byRef := make(map[string]event)
	for _, e := range events {
		byRef[e.Ref] = e
	}
	for _, name := range odd[:4] {
		if _, ok := byRef["refs/heads/"+name]; !ok {
			t.Errorf("ref %q: got no event", name)
		}
	}
	if got, want := byRef["refs/heads/latin\uFFFD"].RefBase64, "cmVmcy9oZWFkcy9sYXRpbuk="; got != want {
		t.Errorf("bytes of a ref that is not UTF-8: got %q, want %q", got, want)
	}
	if e := byRef["refs/heads/b7"]; e.CommitCount == nil || *e.CommitCount != 1 {
		t.Errorf("commit count of b7: got %v, want 1", e.CommitCount)
	}
}

func TestServerAway(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	s.set(func() { s.answer = http.StatusServiceUnavailable })
	f.commit(1)
	out := f.git("push", "origin", "main")
	if want := "will be sent later"; !strings.Contains(out, want) {
		t.Errorf("message: got %q, want one with %q", out, want)
	}
	f.commit(1)
	f.git("push", "origin", "main")
	if got := f.waiting(); got != 2 {
		t.Fatalf("waiting: got %d, want 2", got)
	}
	s.set(func() { s.answer = 0 })
	f.commit(1)
	f.git("push", "origin", "main")
	events := s.received()
	if len(events) != 3 || f.waiting() != 0 {
		t.Fatalf("got %d events, %d waiting, want 3, 0", len(events), f.waiting())
	}
	for i := 1; i < len(events); i++ {
		if got, want := events[i].Before, events[i-1].After; got != want {
			t.Errorf("event %d: got before %s, want %s: out of order", i, got, want)
		}
	}
}

func TestHangingServer(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hang.Close()
	defer close(release)
	f := newFixture(t, hang.URL)
	f.environ = append(f.environ, hurry)
	f.commit(1)
	f.git("push", "--quiet", "origin", "main") // the test's own time limit says when it hangs
	if got := f.waiting(); got != 1 {
		t.Errorf("waiting: got %d, want 1", got)
	}
}

func TestAnswerLost(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	s.set(func() { s.answer = http.StatusServiceUnavailable })
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	s.set(func() { s.answer = 0 })
	files, err := filepath.Glob(filepath.Join(f.spool().Dir(), "*"+readySuffix))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %q, %v, want one file", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	// The server stored it, and the answer did not arrive.
	if _, err := c.PostEvents(t.Context(), text, ""); err != nil {
		t.Fatal(err)
	}
	sent, err := f.spool().Flush(t.Context(), c, func(string) {})
	if want := (Sent{Duplicates: 1}); err != nil || sent != want {
		t.Errorf("flush: got %+v, %v, want %+v", sent, err, want)
	}
}

func TestSpoolFull(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	f.run(f.bare, "git", "config", "sluice.spoolLimit", "800")
	s.set(func() { s.answer = http.StatusServiceUnavailable })
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	f.commit(1)
	out := f.git("push", "origin", "main")
	if want := "this push is NOT recorded (1 ref updates): the spool is full"; !strings.Contains(strings.ReplaceAll(out, "\nremote: ", ""), want) {
		t.Errorf("message: got %q, want one with %q", out, want)
	}
	lost, err := os.ReadFile(filepath.Join(f.bare, "sluice", "lost.log"))
	if err != nil || !strings.Contains(string(lost), "1 ref updates") {
		t.Errorf("lost.log: got %q, %v, want the lost push", lost, err)
	}
	s.set(func() { s.answer = 0 })
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	if got := len(s.received()); got != 2 || f.waiting() != 0 {
		t.Errorf("got %d events, %d waiting, want 2, 0", got, f.waiting())
	}
}

func TestUnwritableSpool(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	if err := os.WriteFile(filepath.Join(f.bare, "sluice"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	if got := len(s.received()); got != 1 {
		t.Errorf("events sent directly: got %d, want 1", got)
	}
}

func TestRefusedEvent(t *testing.T) {
	s := newServer(t)
	s.refuse = func(e event) string {
		if e.Ref == "refs/heads/bad" {
			return "foreign namespace"
		}
		return ""
	}
	f := newFixture(t, s.URL)
	f.commit(1)
	f.git("push", "--quiet", "origin", "HEAD:refs/heads/bad", "HEAD:refs/heads/good")
	if got := s.received(); len(got) != 1 || got[0].Ref != "refs/heads/good" {
		t.Errorf("events: got %+v, want that of refs/heads/good", got)
	}
	refused, err := os.ReadFile(filepath.Join(f.bare, "sluice", "refused.ndjson"))
	if err != nil || !bytes.Contains(refused, []byte(`"reason":"foreign namespace"`)) {
		t.Errorf("refused.ndjson: got %q, %v, want the reason", refused, err)
	}
	if got := f.waiting(); got != 0 {
		t.Errorf("waiting: got %d, want 0", got)
	}
}

func TestConcurrentPushes(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	f.commit(1)
	const pushes = 8
	var wg sync.WaitGroup
	errs := make(chan error, pushes)
	for i := range pushes {
		wg.Go(func() {
			cmd := exec.Command("git", "push", "--quiet", "origin", fmt.Sprintf("HEAD:refs/heads/p%d", i))
			cmd.Dir, cmd.Env = f.work, f.environ
			if out, err := cmd.CombinedOutput(); err != nil {
				errs <- fmt.Errorf("%w: %s", err, out)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	c, err := client.New(client.Config{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.spool().Flush(t.Context(), c, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if got := len(s.received()); got != pushes {
		t.Errorf("events: got %d, want %d", got, pushes)
	}
}

func TestDraftOfDeadWriter(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	spool := f.spool()
	now := time.Now()
	d, err := spool.Draft(newEvents(Config{Namespace: "acme/web"}, []update{{strings.Repeat("0", 40), strings.Repeat("1", 40), "refs/heads/x"}}, identity{}, now))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	flush := func() int {
		t.Helper()
		sent, err := spool.Flush(t.Context(), c, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		return sent.Accepted
	}
	if got := flush(); got != 0 {
		t.Errorf("sent while its writer is at it: got %d, want 0", got)
	}
	old := now.Add(-2 * draftAge)
	if err := os.Chtimes(d.path, old, old); err != nil {
		t.Fatal(err)
	}
	if got := flush(); got != 1 {
		t.Errorf("sent after its writer died: got %d, want 1", got)
	}
}

func TestParseUpdates(t *testing.T) {
	a, z := strings.Repeat("a", 40), strings.Repeat("0", 40)
	for _, c := range []struct {
		name, in string
		want     int
		bad      bool
	}{
		{"empty", "", 0, false},
		{"one", a + " " + z + " refs/heads/x\n", 1, false},
		{"no newline at the end", z + " " + a + " refs/heads/x", 1, false},
		{"space in a name", a + " " + a + " refs/heads/a b\n", 1, false},
		{"sha256", strings.Repeat("b", 64) + " " + strings.Repeat("0", 64) + " refs/heads/x\n", 1, false},
		{"no ref", a + " " + z + "\n", 0, true},
		{"no id", "x y refs/heads/x\n", 0, true},
	} {
		got, err := parseUpdates(bufio.NewReader(strings.NewReader(c.in)))
		if len(got) != c.want || (err != nil) != c.bad {
			t.Errorf("%s: got %d updates, error %v, want %d, error %t", c.name, len(got), err, c.want, c.bad)
		}
	}
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"GitLab over SSH", []string{"GL_USERNAME=mona", "GL_PROTOCOL=ssh", "LOGNAME=git"}, "mona GL_USERNAME ssh 2 "},
		{"web server", []string{"REMOTE_USER=mona", "GATEWAY_INTERFACE=CGI/1.1", "REMOTE_ADDR=192.0.2.7"}, "mona REMOTE_USER http 1 192.0.2.7"},
		{"SSH account", []string{"LOGNAME=mona", "GORACE=atexit_sleep_ms=0", "SSH_CONNECTION=192.0.2.7 5000 192.0.2.1 22"}, "mona os_user ssh 2 192.0.2.7"},
		{"daemon", []string{"LOGNAME=git", "REMOTE_ADDR=[2001:db8::1]"}, "git os_user git 0 2001:db8::1"},
		{"local", []string{"USER=mona"}, "mona os_user file 0 "},
	} {
		id := readIdentity(c.environ)
		if got := fmt.Sprintf("%s %s %s %d %s", id.Actor, id.ActorSource, id.Transport, id.TransportNumber, id.ActorIP); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestGitSize(t *testing.T) {
	for in, want := range map[string]int64{"5": 5, "1k": 1 << 10, "64m": 64 << 20, "2G": 2 << 30, "": 0, "k": 0, "-1": 0, "1t": 0} {
		if got, err := gitSize(in); got != want || (err == nil) != (want > 0) {
			t.Errorf("gitSize(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
}
