package five

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/client"
)

const (
	adminToken    = "five-administrator-token-0123456789"
	producerToken = "five-producer-token-0123456789"
)

// Bounds of patience.
const (
	patience  = 60 * time.Second
	pollEvery = 20 * time.Millisecond
)

// server is the process under judgement, at the same address in every life.
type server struct {
	binary, data string
	port         *process.Port
	log          *os.File
	process      *process.Process
	admin        *client.Client
	lives        int
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "sluice")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	held, err := process.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{binary: binary, data: filepath.Join(dir, "data"), port: held, log: log}
	s.admin = s.client(t, adminToken)
	t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Kill() // it is over
		}
		_ = log.Close()
		_ = held.Release()
	})
	return s
}

func (s *server) client(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Server: "http://" + s.port.Address, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// start starts the process and waits until it is ready.
func (s *server) start(t *testing.T) {
	t.Helper()
	p, err := process.Start(t.Context(), process.Spec{
		Path: s.binary,
		Args: []string{"serve", "--data", s.data, "--listen", s.port.Address, "--allow-private-destinations", "--segment-size", "4MiB"},
		Env:  []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0"},
		Log:  s.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	s.lives++
	await(t, "the server to be ready", func(ctx context.Context) error {
		if p.Ended() {
			t.Fatalf("the server ended while it started:\n%s", s.words(t))
		}
		return s.admin.Ready(ctx)
	})
}

// kill ends the process with SIGKILL.
func (s *server) kill(t *testing.T) {
	t.Helper()
	ended := s.process.Ended()
	if err := s.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if s.process = nil; ended {
		t.Fatalf("the server had ended by itself:\n%s", s.words(t))
	}
}

// words returns what the server has logged in all its lives.
func (s *server) words(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sealed looks for secrets in all files of the server.
func (s *server) sealed(t *testing.T, secrets []string) {
	t.Helper()
	err := filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was for the moment only
		}
		lookFor(t, d.Name(), text, secrets)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// lookFor looks for secrets in a text that may not have them.
func lookFor(t *testing.T, what string, text []byte, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s: it holds the secret that begins with %.8q", what, secret)
		}
	}
}

// errNotYet says in its own words what is waited for.
var errNotYet = errors.New("not yet")

func notYet(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errNotYet}, args...)...)
}

// await tries again until try returns nil.
func await(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error // before patience ended
	for {
		err := try(ctx)
		switch {
		case err == nil:
			return
		case ctx.Err() == nil:
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s: %v", patience, what, last)
		}
	}
}
