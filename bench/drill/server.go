// Package drill has what the smaller drills share: a server that is killed and
// started again, a producer that knows what was acknowledged, and receivers that
// know what arrived and can refuse, hang and answer slowly. Package oracle judges
// more, and for any history; a drill here plays one history that is written down,
// and judges what the oracle cannot know.
package drill

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/process"
	"github.com/sluicelog/sluice/client"
)

// AdminToken is the administrator's token of every server here.
const AdminToken = "drill-administrator-token-0123456789"

// Bounds of patience.
const (
	patience  = 60 * time.Second
	pollEvery = 10 * time.Millisecond
)

// A Server is the process under judgement, at the same address in every life. Its
// methods are called by the goroutine of the test.
type Server struct {
	Binary string
	Data   string
	Args   []string // besides those that every server here has
	Env    []string // as Args
	Admin  *client.Client
	// Lives counts the starts, Slowest is the longest from a start to readiness.
	Lives   int
	Slowest time.Duration

	t       testing.TB
	port    *process.Port
	log     *os.File
	process *process.Process // nil when it does not run
}

// NewServer returns a server that does not run yet. It is killed when the test
// ends, and its log is kept when the test fails.
func NewServer(t testing.TB, binary string, args ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	held, err := process.HoldPort()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Binary: binary, Data: filepath.Join(dir, "data"), Args: args, Env: []string{"SLUICE_REQUEST_LIMIT=0"}, t: t, port: held, log: log}
	s.Admin = s.Client(AdminToken)
	t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Kill() // it is over; it may have ended with the test's context
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.Log()))
		}
		_ = log.Close()
		_ = held.Release()
	})
	return s
}

// tail returns the end of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-8000):] }

// URL returns where the server is.
func (s *Server) URL() string { return "http://" + s.port.Address }

// Client returns a client of the server.
func (s *Server) Client(token string) *client.Client {
	s.t.Helper()
	c, err := client.New(client.Config{Server: s.URL(), Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// Launch starts the process and does not wait for it.
func (s *Server) Launch() {
	s.t.Helper()
	p, err := process.Start(s.t.Context(), process.Spec{
		Path: s.Binary,
		Args: append([]string{"serve", "--data", s.Data, "--listen", s.port.Address, "--allow-private-destinations", "--segment-size", "4MiB"}, s.Args...),
		Env:  append([]string{"SLUICE_ADMIN_TOKEN=" + AdminToken}, s.Env...),
		Log:  s.log,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = p
	s.Lives++
}

// Start starts the process and waits until it is ready.
func (s *Server) Start() {
	s.t.Helper()
	begin := time.Now()
	s.Launch()
	Await(s.t, "the server to be ready", func(ctx context.Context) error {
		if s.process.Ended() {
			s.t.Fatalf("the server ended while it started:\n%s", tail(s.Log()))
		}
		return s.Admin.Ready(ctx)
	})
	s.Slowest = max(s.Slowest, time.Since(begin))
}

// Kill ends the process with SIGKILL. One that had ended by itself fails the test.
func (s *Server) Kill() {
	s.t.Helper()
	s.end(func(p *process.Process) error { return p.Kill() })
}

// Stop ends the process as an operator would.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(func(p *process.Process) error { return p.Stop() })
}

func (s *Server) end(how func(*process.Process) error) {
	s.t.Helper()
	if s.process == nil {
		return
	}
	ended := s.process.Ended()
	if err := how(s.process); err != nil {
		s.t.Error(err)
	}
	if s.process = nil; ended {
		s.t.Errorf("the server had ended by itself:\n%s", tail(s.Log()))
	}
	s.Admin.Close()
}

// Log returns what the server has logged in all its lives.
func (s *Server) Log() []byte {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		s.t.Error(err)
	}
	return text
}

// Get reads a page or an answer as the administrator.
func (s *Server) Get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+AdminToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.300s", path, resp.Status, b.Bytes())
	}
	return b.Bytes(), nil
}

// Metric returns the value of a metric, as it is written with its labels.
func (s *Server) Metric(ctx context.Context, name string) (float64, error) {
	text, err := s.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// Await tries again until try returns nil, for a minute.
func Await(t testing.TB, what string, try func(context.Context) error) {
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

// Descriptors counts the files and connections that the process has open.
func (s *Server) Descriptors() int {
	s.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.ID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list)
}
