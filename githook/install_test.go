package githook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeepsFormerHook(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	hook := filepath.Join(f.bare, "hooks", hookName)
	if _, err := f.repo.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(f.bare, "seen")
	former := "#!/bin/sh\ncat >> '" + seen + "'\n"
	if err := os.WriteFile(hook, []byte(former), 0o755); err != nil {
		t.Fatal(err)
	}
	f.install(Install{Server: s.URL, Namespace: "acme/web"})
	again := f.install(Install{})
	if want := filepath.Join(f.bare, "hooks", keptName); again.Kept != want || again.Namespace != "acme/web" || again.Server != s.URL {
		t.Errorf("second install: got %+v, want everything kept", again)
	}
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	text, err := os.ReadFile(seen)
	if err != nil || !strings.HasSuffix(string(text), " refs/heads/main\n") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("former hook's input: got %q, %v, want one line", text, err)
	}
	if got := len(s.received()); got != 1 {
		t.Errorf("events: got %d, want 1", got)
	}
	for range 2 { // uninstalling twice is no error
		if _, err := f.repo.Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(hook); err != nil || string(text) != former {
		t.Errorf("hook after uninstall: got %q, %v, want the former one", text, err)
	}
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	if got := len(s.received()); got != 1 {
		t.Errorf("events after uninstall: got %d, want 1", got)
	}
}

func TestNonBareRepository(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	target := filepath.Join(t.TempDir(), "it's here")
	f.run(f.work, "git", "init", "--quiet", "--initial-branch=main", target)
	repo, err := OpenRepository(t.Context(), target, f.environ)
	if err != nil {
		t.Fatal(err)
	}
	f.repo = repo
	f.install(Install{Server: s.URL, Namespace: "acme/other"})
	f.commit(1)
	f.git("push", "--quiet", target, "HEAD:refs/heads/topic")
	if got := s.received(); len(got) != 1 || got[0].EntityPath != "acme/other" {
		t.Errorf("events: got %+v, want one of acme/other", got)
	}
}

func TestSharedHooksFolder(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	if _, err := f.repo.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared := t.TempDir()
	f.run(f.bare, "git", "config", "core.hooksPath", shared)
	done := f.install(Install{Server: s.URL, Namespace: "acme/web"})
	if want := filepath.Join(shared, hookName); done.Hook != want || !done.Shared {
		t.Fatalf("install: got %+v, want shared hook %s", done, want)
	}
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	stays, err := f.repo.Uninstall(t.Context())
	if err != nil || !stays {
		t.Fatalf("uninstall: got %t, %v, want the shared hook to stay", stays, err)
	}
	f.commit(1)
	f.git("push", "--quiet", "origin", "main")
	if got := len(s.received()); got != 1 {
		t.Errorf("events: got %d, want 1: the second push came after uninstall", got)
	}
}

func TestInstallNeedsNamespace(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	for _, bad := range []string{"acme//web", "../web", "acme/we\x07b"} {
		if _, err := f.repo.Install(t.Context(), Install{Executable: "/bin/true", Namespace: bad}); err == nil {
			t.Errorf("namespace %q: got no error", bad)
		}
	}
	if _, err := OpenRepository(t.Context(), t.TempDir(), f.environ); err == nil {
		t.Error("folder that is no repository: got no error")
	}
}

func TestMissingBinary(t *testing.T) {
	s := newServer(t)
	f := newFixture(t, s.URL)
	if _, err := f.repo.Install(t.Context(), Install{Executable: "/nowhere/sluice"}); err != nil {
		t.Fatal(err)
	}
	f.commit(1)
	if out, want := f.git("push", "origin", "main"), "this push is NOT recorded"; !strings.Contains(out, want) {
		t.Errorf("message: got %q, want one with %q", out, want)
	}
}
