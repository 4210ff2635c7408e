package githook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/client"
)

// server is an ingest that keeps events by id.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	events map[string]event
	order  []event
	posts  int
	refuse func(event) string // a reason, or ""
	answer int                // status to answer with, 0 to take events
}

func newServer(t *testing.T) *server {
	s := &server{events: make(map[string]event)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts++
	if s.answer != 0 {
		w.WriteHeader(s.answer)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var events []event
	var bad []client.EventError
	for i, line := range bytes.Split(bytes.TrimSpace(body), []byte("\n")) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			bad = append(bad, client.EventError{Index: i, Message: err.Error()})
		} else if s.refuse != nil && s.refuse(e) != "" {
			bad = append(bad, client.EventError{Index: i, Message: s.refuse(e)})
		}
		events = append(events, e)
	}
	if bad != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": "invalid", "message": "refused", "events": bad}})
		return
	}
	res := client.EventsResult{}
	for _, e := range events {
		if _, twice := s.events[e.ID]; twice {
			res.Duplicates++
			continue
		}
		res.Accepted++
		s.events[e.ID] = e
		s.order = append(s.order, e)
	}
	res.Last = map[string]uint64{"git": uint64(len(s.order))}
	json.NewEncoder(w).Encode(res)
}

func (s *server) received() []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]event(nil), s.order...)
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// fixture is a bare repository with the hook and a clone that pushes to it.
type fixture struct {
	t          *testing.T
	bare, work string
	repo       *Repository
	environ    []string
	commits    int
}

func newFixture(t *testing.T, url string) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{t: t, bare: filepath.Join(dir, "web.git"), work: filepath.Join(dir, "work"), environ: testEnviron(dir)}
	f.run(dir, "git", "init", "--quiet", "--bare", "--initial-branch=main", f.bare)
	f.run(dir, "git", "init", "--quiet", "--initial-branch=main", f.work)
	f.git("remote", "add", "origin", f.bare)
	repo, err := OpenRepository(t.Context(), f.bare, f.environ)
	if err != nil {
		t.Fatal(err)
	}
	f.repo = repo
	f.install(Install{Server: url, Namespace: "acme/web"})
	return f
}

// testEnviron keeps the configuration of whoever runs the tests out of them.
func testEnviron(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LOGNAME=mona", "GORACE=atexit_sleep_ms=0",
		"GIT_AUTHOR_NAME=Mona", "GIT_AUTHOR_EMAIL=mona@example.com", "GIT_COMMITTER_NAME=Mona", "GIT_COMMITTER_EMAIL=mona@example.com"}
}

func (f *fixture) install(in Install) Installed {
	f.t.Helper()
	executable, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	in.Executable = executable
	done, err := f.repo.Install(f.t.Context(), in)
	if err != nil {
		f.t.Fatal(err)
	}
	return done
}

func (f *fixture) run(dir string, args ...string) string {
	f.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, f.environ
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (f *fixture) git(args ...string) string {
	f.t.Helper()
	return strings.TrimSpace(f.run(f.work, append([]string{"git"}, args...)...))
}

func (f *fixture) commit(n int) {
	f.t.Helper()
	for range n {
		f.commits++ // commits of one second differ by their message alone
		f.git("commit", "--quiet", "--allow-empty", "-m", fmt.Sprintf("change %d", f.commits))
	}
}

func (f *fixture) spool() *Spool {
	f.t.Helper()
	cfg, err := f.repo.Config(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.repo.Spool(cfg)
}

func (f *fixture) waiting() int {
	f.t.Helper()
	n, _, err := f.spool().Waiting()
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}
