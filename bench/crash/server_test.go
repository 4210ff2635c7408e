package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/client"
)

const (
	adminToken    = "crash-administrator-token-0123456789"
	producerToken = "crash-producer-token-0123456789"
)

// Bounds of patience.
const (
	patience  = 60 * time.Second
	pollEvery = 15 * time.Millisecond
)

// server is the process that dies, at the same address in every life.
type server struct {
	binary, data string
	flags        []string
	port         *process.Port
	log          *os.File
	process      *process.Process // nil when it does not run
	began        int64            // where the log of this life begins
}

func newServer(t *testing.T, binary string, flags []string) *server {
	t.Helper()
	dir := t.TempDir()
	port, err := process.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "server.log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{binary: binary, data: filepath.Join(dir, "data"), flags: flags, port: port, log: log}
	t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Kill() // it is over
		}
		_ = log.Close()
		_ = port.Release()
	})
	return s
}

// launch starts the process and does not wait for it. death is what
// SLUICE_FAILPOINT says.
func (s *server) launch(ctx context.Context, death string) error {
	end, err := s.log.Seek(0, 2)
	if err != nil {
		return err
	}
	s.began = end
	env := []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0"}
	if death != "" {
		env = append(env, "SLUICE_FAILPOINT="+death)
	}
	s.process, err = process.Start(ctx, process.Spec{
		Path: s.binary, Env: env, Log: s.log,
		Args: append([]string{"serve", "--data", s.data, "--listen", s.port.Address, "--allow-private-destinations", "--segment-size", "4MiB"}, s.flags...),
	})
	return err
}

// words returns what the server has logged from a place on.
func (s *server) words(from int64) []byte {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return text[min(from, int64(len(text))):]
}

// complaints returns the lines of this life that are warnings or worse.
func (s *server) complaints() (out []string) {
	for line := range bytes.Lines(s.words(s.began)) {
		if bytes.Contains(line, []byte("level=WARN")) || bytes.Contains(line, []byte("level=ERROR")) {
			out = append(out, string(bytes.TrimSpace(line)))
		}
	}
	return out
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

// notYet says in its own words what is waited for.
type notYet string

func (e notYet) Error() string { return string(e) }

func notYetf(format string, args ...any) error { return notYet(fmt.Sprintf(format, args...)) }
